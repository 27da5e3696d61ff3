-- Uses sleeping.c: coroutines that sleep, inside a sort and a gsub, and one that is woken.
local coro = require "coro"
local sleeping = require "sleeping"

local function start(f)
  coro.transfer(coro.create(function()
    f()
    coro.transfer(nil)
  end))
end

start(function()
  local numbers = { 3, 1, 2 }
  table.sort(numbers, function(a, b)
    sleeping.sleep(0.001)
    return a < b
  end)
  print(table.concat(numbers, " "))
end)
start(function()
  local text = ("a b"):gsub("%a", function(letter)
    assert(sleeping.sleep(0.05) >= 0)
    return letter:upper()
  end)
  print(text)
end)
print "everybody sleeps"
collectgarbage()
sleeping.run()
print "nobody sleeps"

local thread = coro.create(function()
  print("woken " .. sleeping.pause())
  coro.transfer(nil)
end)
coro.transfer(thread)
assert(sleeping.wake(thread, "by main"))
assert(not sleeping.wake(thread))
--> everybody sleeps
--> 1 2 3
--> A B
--> nobody sleeps
--> woken by main
