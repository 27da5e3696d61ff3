-- Resident memory of suspended threads, in a process of its own. Prints a line of JSON.
--   <lua> memory.lua MODULE_FOLDER KIND LIBRARY
-- KIND: unmounted    100,000 threads that wait in plain code
--       pairs        10,000 handlers that wait in a generator that waits
--       pinned       20,000 threads that wait inside table.sort (coro only)
-- LIBRARY: coro or standard
local modules, kind, library_name = arg[1], arg[2], arg[3]
package.cpath = modules .. "/?.so;" .. package.cpath
local coro = require "coro"
local library = library_name == "coro" and coro or coroutine

local page_size = 4096

local function resident()
  collectgarbage()
  collectgarbage()
  local file = assert(io.open "/proc/self/statm")
  local pages = file:read("*a"):match "^%d+ (%d+)"
  file:close()
  return pages * page_size
end

-- Starts a thread that waits where the function leaves it; it is suspended then.
local function start(f)
  local thread = library.create(f)
  assert(library.resume(thread))
  return thread
end

local make = {
  unmounted = function()
    return start(function() library.yield() end)
  end,
  pairs = function()
    -- Under coro the generator waits itself, and its handler waits for it; the standard library has
    -- to return to the handler first.
    local step = library.wrap(function()
      if library == coro then
        coro.transfer(nil)
      else
        coroutine.yield()
      end
    end)
    local function handler()
      step()
      library.yield()
    end
    if library == coro then
      local thread = coro.create(handler)
      coro.transfer(thread)
      return thread
    end
    return start(handler)
  end,
  pinned = function()
    return start(function()
      table.sort({ 2, 1 }, function(a, b)
        library.yield()
        return a < b
      end)
    end)
  end,
}
local counts = { unmounted = 100000, pairs = 10000, pinned = 20000 }

local n = counts[kind]
local threads = {}
for i = 1, n do
  threads[i] = false
end
for _ = 1, 1000 do -- what the first ones need once
  make[kind]()
end
local before = resident()
for i = 1, n do
  threads[i] = make[kind]()
end
local after = resident()
print(
  ('{"contender": "%s", "bytes": %.0f, "count": %d}'):format(
    library_name,
    (after - before) / #threads,
    #threads
  )
)
