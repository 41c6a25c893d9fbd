"""An ordinary text of the trade, written for this purpose: read once when weights are turned into 8 bits.

It shows which inputs of each linear layer grow far larger than the rest. Those are a property of the model
and not of the text (Dettmers et al. 2022), so a page is enough.
"""

TEXT = """\
MEMORANDUM OF LAW IN SUPPORT OF DEFENDANT'S MOTION TO DISMISS

Plaintiff brings this action for breach of a commercial lease dated March 3, 2019. The complaint alleges that
the defendant "failed to maintain the premises in good order" and seeks damages of $412,500.00, with interest
and costs. Because the complaint does not state a claim upon which relief can be granted, it should be
dismissed. See Fed. R. Civ. P. 12(b)(6).

I. BACKGROUND

The parties signed the lease after six months of negotiation. Section 4.2 provides that "the Tenant shall give
written notice of any defect within thirty (30) days," and Section 9 limits the Landlord's liability to the
rent of one year. No notice was ever given. On January 14, 2022, the plaintiff left the building; two weeks
later it filed suit.

II. ARGUMENT

To survive a motion to dismiss, a complaint must contain sufficient factual matter, accepted as true, to
"state a claim to relief that is plausible on its face." Bell Atlantic Corp. v. Twombly, 550 U.S. 544, 570
(2007); Ashcroft v. Iqbal, 556 U.S. 662, 678 (2009). Threadbare recitals of the elements of a cause of action
do not suffice. The court need not accept legal conclusions; it asks only whether the facts, if proved, would
entitle the plaintiff to relief.

A. The plaintiff gave no notice.

Dear Ms. Vale: Thank you for your letter of 7 May. Our client's position has not changed: (1) the deposit was
returned in full; (2) the roof was repaired at its own cost; and (3) any further claim is out of time under
42 U.S.C. § 1983 and the law of this State. Please confirm by Friday whether your client will withdraw,
failing which we are instructed to ask the court for costs.

<|im_start|>user
Put the citations of this passage into our house style: Grutter v Bollinger, 539 US 306 (2003).<|im_end|>
<|im_start|>assistant
Grutter v. Bollinger, 539 U. S. 306 (2003).<|im_end|>
def total(fees): return sum(fee.hours * fee.rate for fee in fees)
"""
