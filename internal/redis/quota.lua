-- GCRA on one key, as gateway/quota/gcra.go decides it; see there for the why.
--
-- KEYS[1]  holds the theoretical arrival time, in microseconds since 1970
-- ARGV     least   units to spend at least, or nothing is spent
--          most    units to spend at most
--          back    units to give back
--          interval  microseconds in which a unit comes back
--          burst   units of a full bucket
-- returns  units spent, arrival time found (0 if none), the server's time
--
-- All numbers are whole and below 2^53, where Lua's are exact, but for wishes
-- far above any burst, of which it matters only that they are.
local least, most, back = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3])
local interval, burst = tonumber(ARGV[4]), tonumber(ARGV[5])

local t = redis.call('TIME')
local now = tonumber(t[1]) * 1000000 + tonumber(t[2])
local before = tonumber(redis.call('GET', KEYS[1]) or '0')

local window = interval * burst
local ahead = math.min(math.max(before - now, 0), window)
local have = math.floor((window - ahead) / interval)
local granted = 0
if have >= least then
  granted = math.min(most, have)
end
ahead = math.max(ahead + (granted - back) * interval, 0)

if ahead == 0 then
  if before > 0 then redis.call('DEL', KEYS[1]) end
elseif now + ahead ~= before then
  redis.call('SET', KEYS[1], string.format('%.0f', now + ahead),
    'PX', string.format('%.0f', math.ceil(ahead / 1000)))
end
return {granted, before, now}
