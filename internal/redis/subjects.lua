-- Different subjects in a window, as gateway/quota/subjects.go counts them.
--
-- KEYS[1]  a hash: a field for each subject, and "end", when the window is over
-- ARGV     limit   of different subjects
--          window  microseconds
--          then the subjects, none twice
-- returns  subjects held before, new ones among those named, microseconds to
--          the end of the window; the new ones are held if they fit
local limit, window = tonumber(ARGV[1]), tonumber(ARGV[2])

local t = redis.call('TIME')
local now = tonumber(t[1]) * 1000000 + tonumber(t[2])
local ends = tonumber(redis.call('HGET', KEYS[1], 'end') or '0')
local held = 0
if ends > now then
  held = redis.call('HLEN', KEYS[1]) - 1
else
  redis.call('DEL', KEYS[1])
  ends = now + window
end

local fresh = {}
for i = 3, #ARGV do
  if redis.call('HEXISTS', KEYS[1], ARGV[i]) == 0 then
    fresh[#fresh + 1] = ARGV[i]
  end
end
if #fresh > 0 and held + #fresh <= limit then
  for _, subject in ipairs(fresh) do
    redis.call('HSET', KEYS[1], subject, '')
  end
  redis.call('HSET', KEYS[1], 'end', string.format('%.0f', ends))
  redis.call('PEXPIREAT', KEYS[1], string.format('%.0f', math.ceil(ends / 1000)))
end
return {held, #fresh, ends - now}
