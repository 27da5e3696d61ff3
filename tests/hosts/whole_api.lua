-- Uses every function of coro, in every way that needs memory: threads that are mounted, unmounted,
-- pinned; errors and their tracebacks; ends of all kinds; arrays that grow; finalizers. A program
-- for hosts whose memory runs out: an error anywhere in it is an error of the whole.
local coro = require "coro"

local function must(ok, ...)
  if not ok then error((...), 0) end
  return ...
end

local function in_sort(wait)
  table.sort({ 3, 2, 1 }, function(a, b)
    wait()
    return a < b
  end)
end

-- An error that is expected, with this text; any other goes on.
local function expected(text, ok, err)
  if ok or not tostring(err):find(text, 1, true) then error(ok and "no error" or err, 0) end
end

local function many(n, value)
  local values = {}
  for i = 1, n do values[i] = value end
  return (unpack or table.unpack)(values) -- luacheck: ignore
end

local parts = {}

function parts.settings()
  local settings = coro.configure()
  coro.configure(settings)
  expected("unknown setting", pcall(coro.configure, { stacksize = 1 }))
  assert(coro.stats().threads >= 0)
end

function parts.transfers()
  local a, b
  a = coro.create(function(...)
    coro.transfer(b, ...)
    in_sort(function() coro.transfer(b) end)
    coro.transfer(nil, "a")
  end)
  b = coro.create(function(...)
    for _ = 1, select("#", ...) do coro.transfer(a) end
  end)
  assert(coro.transfer(a, 1, 2, 3, 4, 5, 6) == "a")
  assert(select("#", coro.transfer(coro.create(function(...) coro.transfer(nil, ...) end),
    many(300, "x"))) == 300)
end

function parts.generators()
  local sum = 0
  local function count(n)
    return coro.wrap(function()
      for i = 1, n do
        if i % 2 == 0 then coro.yield(i) else ("x"):gsub("x", function() coro.yield(i) end) end
      end
    end)
  end
  for i in count(6) do
    for j in count(3) do sum = sum + i * j end
  end
  assert(sum == 21 * 6)
  local leaves = coro.safewrap(function(yield)
    coro.wrap(function() yield(1) in_sort(function() yield(2) end) end)()
  end)
  assert(leaves() == 1 and leaves() == 2)
end

function parts.errors()
  local fails = coro.create(function() in_sort(function() error "in sort" end) end)
  expected("in sort", coro.resume(fails))
  expected("from f", pcall(coro.wrap(function() error("from f", 0) end)))
  expected("in main", pcall(coro.transfer, coro.create(function() error "in main" end)))
  expected("in main", coro.ptransfer(coro.create(function() error "in main" end)))
  expected("without transferring", coro.ptransfer(coro.create(function() end)))
  local dead = coro.create(function() end)
  must(coro.resume(dead))
  expected("dead", coro.resume(dead))
  expected("dead", pcall(coro.transfer, dead))
  expected("thread", pcall(coro.transfer, 1))
  expected("not resumed", coro.ptransfer(coro.create(coro.yield)))
end

function parts.throws()
  local function catch(wait)
    return coro.create(function()
      expected("thrown", pcall(wait))
      coro.transfer(nil, "caught")
    end)
  end
  for _, wait in ipairs {
    function() coro.transfer(nil) end,
    function() in_sort(function() coro.transfer(nil) end) end,
    function() must(coro.ptransfer(nil)) end,
  } do
    local thread = catch(wait)
    coro.transfer(thread)
    assert(coro.throw(thread, "thrown") == "caught")
  end
  expected("thrown", pcall(coro.throw, coro.create(print), "thrown"))
end

function parts.ends()
  local threads = {
    coro.create(print),
    coro.create(function() coro.yield() end),
    coro.create(function() in_sort(coro.yield) end),
    coro.create(function() pcall(pcall, in_sort, coro.yield) end),
  }
  for i, thread in ipairs(threads) do
    if i > 1 then must(coro.resume(thread)) end
    must(coro.close(thread))
    assert(coro.status(thread) == "dead")
  end
end

function parts.inspection()
  local function look()
    assert(coro.current() and coro.running() and coro.isyieldable())
    assert(coro.status(coro.current()) == "running")
    assert(coro.isyieldable(coro.create(print)) and not coro.isyieldable(coro.main))
  end
  must(coro.resume(coro.create(look)))
  must(coro.resume(coro.create(function() in_sort(look) end)))
end

-- More of them than there is room for at first, alive and mounted at once.
function parts.growth()
  local threads = {}
  for i = 1, 70 do threads[i] = coro.create(function() in_sort(coro.yield) end) end
  for i = 1, 20 do must(coro.resume(threads[i])) end
  for i = 1, 20 do must(coro.resume(threads[i])) end
end

function parts.standard_coroutines()
  local standard = coro.install()
  local thread = standard.create(function()
    standard.yield(1)
    in_sort(function() coro.yield(2) end)
  end)
  assert(must(coro.resume(thread)) == 1)
  assert(must(coro.resume(thread)) == 2)
  local nest
  nest = coro.create(function()
    must(standard.resume(standard.create(function() coro.transfer(nil, coro.running()) end)))
    coro.transfer(nil, "nest")
  end)
  assert(coro.transfer((coro.transfer(nest))) == "nest")
  coroutine = standard -- luacheck: ignore
  package.loaded.coroutine = standard
end

function parts.finalizers()
  local finalized
  local function set_finalizer(f)
    if newproxy then -- luacheck: ignore
      getmetatable(newproxy(true)).__gc = f -- luacheck: ignore
    else
      setmetatable({}, { __gc = f })
    end
  end
  set_finalizer(function()
    local ok, err = pcall(coro.wrap(function() in_sort(coro.yield) end))
    finalized = ok or err
    coro.create(print)
  end)
  for _ = 1, 3 do
    -- Dropped while it is suspended in C frames.
    must(coro.resume(coro.create(function() in_sort(coro.yield) end)))
    collectgarbage()
  end
  -- From 5.4 on an error in a finalizer is not seen elsewhere.
  if finalized ~= true then error(finalized or "not enough memory to finalize", 0) end
end

for _, name in ipairs {
  "settings", "transfers", "generators", "errors", "throws", "ends", "inspection", "growth",
  "standard_coroutines", "finalizers",
} do
  parts[name]()
  if pause then pause() end -- luacheck: globals pause
end
