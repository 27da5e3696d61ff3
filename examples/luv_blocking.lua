-- Every function of luv that takes a callback as a call that returns: `coro.await` suspends the
-- coroutine until the callback is called. Here two coroutines read files and sleep, one of them in
-- a generator, while luv's loop runs in main.
local coro = require "coro"
local uv = require "luv"

coro.install()

-- Like the function of luv, without its last argument: the results of the callback.
local function blocking(start)
  return function(...)
    local arguments, n = { ... }, select("#", ...) + 1
    return coro.await(function(resume)
      arguments[n] = resume
      start((table.unpack or unpack)(arguments, 1, n)) -- luacheck: ignore
    end)
  end
end

local open, read, close = blocking(uv.fs_open), blocking(uv.fs_read), blocking(uv.fs_close)

local function sleep(milliseconds)
  local timer = uv.new_timer()
  coro.await(function(resume) timer:start(milliseconds, 0, resume) end)
  timer:close()
end

-- An ordinary generator over calls that block nobody else.
local function lines_of(path)
  return coroutine.wrap(function()
    local err, file = open(path, "r", 0)
    assert(file, err)
    local rest, offset = "", 0
    while true do
      local _, chunk = read(file, 512, offset)
      if not chunk or chunk == "" then break end
      offset = offset + #chunk
      rest = (rest .. chunk):gsub("(.-)\n", function(line)
        coroutine.yield(line) -- from inside gsub
        return ""
      end)
    end
    close(file)
  end)
end

local results = {}
local function spawn(f)
  coro.transfer(coro.create(function()
    table.insert(results, f())
    coro.transfer(nil)
  end))
end

spawn(function()
  local count = 0
  for _ in lines_of(arg[0]) do count = count + 1 end
  return ("%s has %d lines"):format(arg[0]:match "[^/]*$", count)
end)
spawn(function()
  for _ = 1, 5 do sleep(2) end
  return "slept five times"
end)
uv.run()

table.sort(results)
print(table.concat(results, "\n"))
assert(#results == 2)
