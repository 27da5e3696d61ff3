-- Uses post.i: coroutines that wait for letters of a mailbox, in a generator and in a sort.
local coro = require "coro"
local post = require "post"

local box = post.mailbox()

local function letters()
  return coro.wrap(function()
    repeat
      local letter = post.take(box)
      coro.yield(letter)
    until letter == "last"
  end)
end

local function start(f)
  local thread = coro.create(function()
    f()
    coro.transfer(nil)
  end)
  coro.transfer(thread)
  return thread
end

start(function()
  for letter in letters() do print("got " .. letter) end
end)
local closed = start(function() post.take(box) end)
box:put "first"
coro.close(closed)
start(function()
  table.sort({ 2, 1 }, function(a, b) -- waits inside a C function, too
    print("sorts at " .. post.take(box))
    return a < b
  end)
end)
box:put "second"
box:put "third"
box:put "last" -- so that nobody is left waiting, whose C++ frames would never end
print(pcall(post.take, "no mailbox"))
--> got first
--> got second
--> sorts at third
--> got last
--> false	mailbox expected
