-- What a firm and its keys may still ask for, in one step. All keys of a firm carry its id as hash tag.
--
-- Of each subject (the firm, the key) there are three keys:
--   state   hash: `settled` and `held` tokens of the month, and `o:<id>` = "tokens:second" of each open request.
--           Where it is missing, Redis has forgotten (or never knew): nothing is let in until it is rebuilt.
--   window  hash: `r<second>` and `t<second>`, requests and tokens that were let in at that second.
--   leases  sorted set: open requests by when they count as dead.
-- And of each request there is one, `done`: what it used, for a rebuild that read the database before it ended.
--
-- KEYS: those of each subject, then the request's. ARGV: call, request, tokens, seconds of a window, seconds of a lease, then what
-- the call needs.

local call, id, tokens = ARGV[1], ARGV[2], tonumber(ARGV[3])
local window, lease = tonumber(ARGV[4]), tonumber(ARGV[5])
local MONTH = 40 * 86400
local REMEMBERED = 600 -- seconds that an end is remembered: longer than a rebuild takes
local clock = redis.call('TIME')
local now = tonumber(clock[1])
local exact = now + tonumber(clock[2]) / 1000000

local subjects = {}
for at = 1, #KEYS - 3, 3 do
  table.insert(subjects, { state = KEYS[at], window = KEYS[at + 1], leases = KEYS[at + 2] })
end

local function held(one)
  local found = redis.call('HGET', one.state, 'o:' .. id)
  if not found then return nil end
  local amount, second = string.match(found, '^(%d+):(%d+)$')
  return tonumber(amount), second
end

local function add(one, second)
  redis.call('HSET', one.state, 'o:' .. id, string.format('%d:%d', tokens, second))
  redis.call('HINCRBY', one.state, 'held', tokens)
  redis.call('HINCRBY', one.window, 'r' .. second, 1)
  redis.call('HINCRBY', one.window, 't' .. second, tokens)
  redis.call('ZADD', one.leases, exact + lease, id)
  redis.call('EXPIRE', one.state, MONTH)
  redis.call('EXPIRE', one.window, 2 * window + 2)
  redis.call('EXPIRE', one.leases, 2 * math.ceil(lease))
end

-- A rebuild may have counted this request already: its row is written before it asks to be let in.
local function forget(one)
  local amount, second = held(one)
  if not amount then return end
  redis.call('HDEL', one.state, 'o:' .. id)
  redis.call('HINCRBY', one.state, 'held', -amount)
  redis.call('ZREM', one.leases, id)
  if redis.call('HEXISTS', one.window, 'r' .. second) == 1 then
    redis.call('HINCRBY', one.window, 'r' .. second, -1)
    redis.call('HINCRBY', one.window, 't' .. second, -amount)
  end
end

-- The seconds of the window that are not over, oldest first, as { second, requests, tokens }, and both sums.
local function recent(one)
  local seconds, requests, used, found = {}, 0, 0, {}
  local fields = redis.call('HGETALL', one.window)
  for at = 1, #fields, 2 do
    local second, count = tonumber(string.sub(fields[at], 2)), tonumber(fields[at + 1])
    if second < now - window then -- no span of a window's length ever holds more than the limit
      redis.call('HDEL', one.window, fields[at])
    else
      local entry = found[second]
      if not entry then
        entry = { second, 0, 0 }
        found[second] = entry
        table.insert(seconds, entry)
      end
      if string.sub(fields[at], 1, 1) == 'r' then
        entry[2], requests = entry[2] + count, requests + count
      else
        entry[3], used = entry[3] + count, used + count
      end
    end
  end
  table.sort(seconds, function(a, b) return a[1] < b[1] end)
  return seconds, requests, used
end

-- Seconds until `excess` of what was counted (2: requests, 3: tokens) has left the window.
local function wait(seconds, which, excess)
  for _, entry in ipairs(seconds) do
    excess = excess - entry[which]
    if excess <= 0 then return entry[1] + window + 1 - exact end
  end
  return window
end

-- ARGV from 6 on, of each subject: requests and tokens a minute, requests at a time, tokens a month; -1 for none.
-- Answers { 'granted' | 'refused' | 'rebuild', ... }: see limits.py.
local function reserve()
  for number, one in ipairs(subjects) do
    if redis.call('EXISTS', one.state) == 0 then return { 'rebuild', number } end
  end
  for _, one in ipairs(subjects) do forget(one) end
  local left = {}
  for number, one in ipairs(subjects) do
    local at = 6 + 4 * (number - 1)
    local most_requests, most_tokens = tonumber(ARGV[at]), tonumber(ARGV[at + 1])
    local most_open, budget = tonumber(ARGV[at + 2]), tonumber(ARGV[at + 3])
    redis.call('ZREMRANGEBYSCORE', one.leases, '-inf', exact)
    local seconds, requests, used = recent(one)
    local state = redis.call('HMGET', one.state, 'settled', 'held')
    local month = tonumber(state[1] or 0) + tonumber(state[2] or 0)
    local full = #seconds > 0 and seconds[#seconds][1] + window + 1 - exact or 0
    local function refused(what, after)
      local now_left = { math.max(0, most_requests - requests), math.max(0, most_tokens - used) }
      return { 'refused', number, what, tostring(after), now_left[1], now_left[2], tostring(full) }
    end
    if budget >= 0 and month + tokens > budget then return refused('monthly_tokens', 0) end
    if most_tokens >= 0 and tokens > most_tokens then return refused('too_many_tokens', 0) end
    if most_open >= 0 and redis.call('ZCARD', one.leases) >= most_open then return refused('concurrent', 1) end
    if most_requests >= 0 and requests + 1 > most_requests then
      return refused('requests', wait(seconds, 2, requests + 1 - most_requests))
    end
    if most_tokens >= 0 and used + tokens > most_tokens then
      return refused('tokens', wait(seconds, 3, used + tokens - most_tokens))
    end
    table.insert(left, math.max(-1, most_requests - requests - 1))
    table.insert(left, math.max(-1, most_tokens - used - tokens))
  end
  for _, one in ipairs(subjects) do add(one, now) end
  return { 'granted', tostring(window + 1 - (exact - now)), unpack(left) }
end

-- The request has ended and used `tokens`.
local function settle()
  for _, one in ipairs(subjects) do
    local amount, second = held(one)
    redis.call('ZREM', one.leases, id)
    if amount then
      redis.call('HDEL', one.state, 'o:' .. id)
      redis.call('HINCRBY', one.state, 'held', -amount)
      redis.call('HINCRBY', one.state, 'settled', tokens)
      if redis.call('HEXISTS', one.window, 't' .. second) == 1 then
        redis.call('HINCRBY', one.window, 't' .. second, tokens - amount)
      end
    end
  end
  redis.call('SET', KEYS[#KEYS], tokens, 'EX', REMEMBERED)
  return { 'settled' }
end

-- The request is still under way.
local function renew()
  for _, one in ipairs(subjects) do
    redis.call('ZADD', one.leases, exact + lease, id)
    redis.call('EXPIRE', one.leases, 2 * math.ceil(lease))
  end
  return { 'renewed' }
end

-- One subject as the database knows it. ARGV from 6 on: tokens of the month's closed rows, how many are open, then
-- id, tokens, second and whether it began this month of each, then second, requests and tokens of the last minute.
-- KEYS: the subject's first three, then `done` of each open request.
local function rebuild()
  local one = { state = KEYS[1], window = KEYS[2], leases = KEYS[3] }
  if redis.call('EXISTS', one.state) == 1 then return { 'there' } end
  local settled, holding, open = tonumber(ARGV[6]), 0, tonumber(ARGV[7])
  local window_is_there = redis.call('EXISTS', one.window) == 1 -- at the turn of a month
  for number = 1, open do
    local at = 8 + 4 * (number - 1)
    local other, amount, second, here = ARGV[at], tonumber(ARGV[at + 1]), ARGV[at + 2], ARGV[at + 3] == '1'
    local ended = redis.call('GET', KEYS[3 + number])
    if ended then
      if here then settled = settled + tonumber(ended) end
    else
      redis.call('ZADD', one.leases, exact + lease, other)
      if here then
        redis.call('HSET', one.state, 'o:' .. other, amount .. ':' .. (window_is_there and '0' or second))
        holding = holding + amount
      end
    end
  end
  for at = 8 + 4 * open, window_is_there and 0 or #ARGV, 3 do
    redis.call('HSET', one.window, 'r' .. ARGV[at], ARGV[at + 1], 't' .. ARGV[at], ARGV[at + 2])
  end
  redis.call('HSET', one.state, 'settled', settled, 'held', holding)
  redis.call('EXPIRE', one.state, MONTH)
  redis.call('EXPIRE', one.window, 2 * window + 2)
  redis.call('EXPIRE', one.leases, 2 * math.ceil(lease))
  return { 'rebuilt' }
end

local calls = { reserve = reserve, settle = settle, renew = renew, rebuild = rebuild }
return calls[call]()
