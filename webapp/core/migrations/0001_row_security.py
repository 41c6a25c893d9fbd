from django.db import migrations


class Migration(migrations.Migration):
    """What every policy asks: whose transaction is this? An unset or empty setting answers NULL, nobody's."""

    initial = True
    dependencies = []
    operations = [
        migrations.RunSQL(
            sql="""
            CREATE FUNCTION housestyle_tenant() RETURNS uuid LANGUAGE sql STABLE PARALLEL SAFE AS
            $$ SELECT nullif(current_setting('housestyle.tenant', true), '')::uuid $$;
            """,
            reverse_sql="DROP FUNCTION housestyle_tenant();",
        )
    ]
