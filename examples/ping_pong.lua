-- Transfer between peers: none is the parent of another, and any number of values goes along.
local coro = require "coro"

local said = {}
local function say(...)
  local line = table.concat({ ... }, " ")
  said[#said + 1] = line
  print(line)
end

local ping, pong, referee

ping = coro.create(function(stroke, limit)
  while stroke < limit do
    say("ping", stroke)
    -- Suspended here until somebody transfers back; what they pass is what this returns.
    stroke, limit = coro.transfer(pong, stroke + 1, limit)
  end
  coro.transfer(referee, "ping", stroke, nil, "missed")
end)

pong = coro.create(function(stroke, limit)
  while true do
    say("pong", stroke)
    stroke, limit = coro.transfer(ping, stroke + 1, limit)
  end
end)

referee = coro.create(function(...)
  -- Every value arrives, the nil in the middle, too.
  assert(select("#", ...) == 4 and select(3, ...) == nil)
  local player, stroke, _, what = ...
  say("referee:", player, what, "stroke", stroke)
  coro.transfer(nil, "over")
end)

-- Nobody returns to main on the way: it goes on when the referee transfers to it.
assert(coro.transfer(ping, 1, 5) == "over")
assert(table.concat(said, ", ")
  == "ping 1, pong 2, ping 3, pong 4, referee: ping missed stroke 5")
assert(coro.status(ping) == "suspended")
