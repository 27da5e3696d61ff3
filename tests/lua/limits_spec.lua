local fixture = require "fixture"
local coro, collect, pack = fixture.coro, fixture.collect, fixture.pack
local with_many_stacks = fixture.with_many_stacks

local function in_sort(wait)
  table.sort({ 3, 2, 1 }, function(a, b)
    wait()
    return a < b
  end)
end

-- The results of f, called in a thread.
local function in_thread(f) return select(2, assert(coro.resume(coro.create(f)))) end

describe("runaway recursion", function()
  fixture.leaves_nothing(before_each, after_each)

  local function recursion_through(call)
    local depth = 0
    local function f()
      depth = depth + 1
      return call(f)
    end
    local ok, err = pcall(f)
    return ok, err, depth
  end

  local nestings = {
    wrap = function(f) coro.wrap(f)() end,
    resume = function(f)
      local ok, err = coro.resume(coro.create(f))
      if not ok then error(err, 0) end
    end,
    ["wrap inside gsub"] = function(f) return (("x"):gsub("x", coro.wrap(f))) end,
    safewrap = function(f) return (coro.safewrap(f))() end,
  }
  for name, call in pairs(nestings) do
    it("of " .. name .. " ends in a C stack overflow, later than the standard's", function()
      with_many_stacks(function()
        local ok, err, depth = recursion_through(call)
        assert.is_false(ok)
        assert.matches("C stack overflow", err)
        assert.matches("max_depth", err)
        assert.is_true(depth > 200)
      end)
      collect()
    end)
  end

  it("is seen where each thread was away, unmounted, before it resumes the next", function()
    local before = coro.configure()
    coro.configure { warm_stacks = 0 }
    local helper = coro.create(function(back)
      while true do back = coro.transfer(back) end
    end)
    local levels = 0
    local function f()
      levels = levels + 1
      coro.transfer(helper, coro.current() or coro.main)
      return coro.wrap(f)()
    end
    with_many_stacks(function()
      local ok, err = pcall(f)
      assert.is_false(ok)
      assert.matches("C stack overflow.*max_depth", err)
      assert.is_true(levels <= before.max_depth + 1, levels)
    end)
    coro.configure { warm_stacks = before.warm_stacks }
    collect()
  end)

  it("counts what resumers have in use of their C stacks", function()
    local levels = 0
    local function nest()
      local function resume_above(callbacks)
        if callbacks > 0 then
          local _ = ("x"):gsub("x", function() resume_above(callbacks - 1) end)
          return
        end
        levels = levels + 1
        local ok, err = coro.resume(coro.create(nest))
        if not ok then error(err, 0) end
      end
      resume_above(80)
    end
    local ok, err = coro.resume(coro.create(nest))
    assert.is_false(ok)
    assert.matches("C stack overflow.*max_depth", err)
    assert.is_true(levels < coro.configure().max_depth / 2, levels)
    collect()
  end)

  local in_c = {
    gsub = function(f) return (("x"):gsub("x", f)) end,
    ["a tail call of gsub"] = function(f) return ("x"):gsub("x", f) end,
    sort = function(f) in_sort(f) end,
    index = function(f) return setmetatable({}, { __index = f }).x end,
    concat = function(f) return setmetatable({}, { __concat = f }) .. "" end,
    pcall = function(f) -- LuaJIT's needs no C stack
      local ok, err = pcall(f)
      if not ok then error(err, 0) end
    end,
    load = function(f)
      local ok, err = (loadstring and load or load)(function() f() end)
      if not ok then error(err, 0) end
    end,
  }
  for name, call in pairs(in_c) do
    it("in C, through " .. name .. ", ends in Lua's own error on a thread", function()
      local ok, err = in_thread(function()
        local ok, err = recursion_through(call)
        return ok, err
      end)
      assert.is_false(ok)
      if type(err) == "string" then assert.matches("overflow", err) end
    end)
  end

  it("in C, while an error is handled, ends in Lua's own error on a thread", function()
    assert.is_false(in_thread(function()
      local function f() return string.gsub("x", "x", f) end
      return (xpcall(f, f))
    end))
  end)

  local nested = {
    parentheses = "return " .. ("("):rep(10000),
    tables = "return " .. ("{"):rep(10000),
    functions = ("return function() "):rep(10000),
    blocks = ("do "):rep(10000),
    operators = "return " .. ("a .. "):rep(10000),
  }
  for name, text in pairs(nested) do
    it("in the parser, through " .. name .. ", ends in Lua's own error on a thread", function()
      local f, err = in_thread(function() return (loadstring or load)(text) end)
      assert.is_nil(f)
      assert.is_truthy(err:find "overflow" or err:find "levels", err)
    end)
  end

  it("in Lua ends in Lua's own error on a thread", function()
    local ok, err = coro.resume(coro.create(function()
      local function f() return 1 + f() end
      f()
    end))
    assert.is_false(ok)
    assert.matches("stack overflow", err)
  end)

  it("with much C in between ends before it has taken 100 MB", function()
    local function resident()
      local file = assert(io.open "/proc/self/statm")
      local pages = file:read("*a"):match "^%d+ (%d+)"
      file:close()
      return pages * 4096
    end
    local before, most = resident(), 0
    local function in_gsub(levels, f)
      if levels == 0 then return f() end
      return (("x"):gsub("x", function() in_gsub(levels - 1, f) end))
    end
    local function f()
      local now = resident()
      if now > most then most = now end
      in_gsub(20, coro.wrap(f))
    end
    local ok, err = pcall(coro.wrap(f))
    assert.is_false(ok)
    assert.matches("C stack overflow", err)
    assert.is_true(most - before < 100 * 2 ^ 20, (most - before) / 2 ^ 20 .. " MB")
    collect()
  end)

  it("leaves everything usable", function()
    recursion_through(nestings.wrap)
    assert.are.equal(1, coro.wrap(function() coro.yield(1) end)())
  end)
end)

describe("C stacks", function()
  fixture.leaves_nothing(before_each, after_each)

  it("run out with an error that names the limit, and the caller goes on", function()
    local before = coro.configure()
    local limit = coro.stats().stacks_in_use + 8
    coro.configure { max_stacks = limit }
    local threads = {}
    for i = 1, 8 do
      threads[i] = coro.create(function() in_sort(coro.yield) end)
      assert.is_true((coro.resume(threads[i])))
    end
    local late = coro.create(function() coro.transfer(nil, "started") end)
    local ok, err = coro.resume(late)
    assert.is_false(ok)
    assert.matches("too many C stacks: " .. limit .. " are in use.*max_stacks", err)
    ok, err = pcall(coro.transfer, late)
    assert.is_false(ok)
    assert.matches("too many C stacks.*max_stacks", err)
    assert.are.equal("suspended", coro.status(late))
    for i = 1, 8 do assert.are.equal("suspended", coro.status(threads[i])) end

    coro.close(threads[1])
    assert.are.equal("started", coro.transfer(late))
    coro.configure(before)
  end)

  it("are taken from threads that could be unmounted, before they run out", function()
    local before = coro.configure()
    coro.configure { max_stacks = coro.stats().stacks_in_use + 4 }
    local threads = {}
    for i = 1, 40 do
      threads[i] = coro.create(function(...) return coro.yield(...) end)
      assert.are.same({ n = 2, true, i }, pack(coro.resume(threads[i], i)))
    end
    for i = 1, 40 do assert.are.same({ n = 2, true, -i }, pack(coro.resume(threads[i], -i))) end
    coro.configure(before)
  end)

  it("are taken from threads under each other, too", function()
    local before = coro.configure()
    coro.configure { max_stacks = coro.stats().stacks_in_use + 4 }
    local function descend(depth)
      if depth == 0 then return "bottom" end
      return coro.wrap(descend)(depth - 1)
    end
    assert.are.equal("bottom", coro.wrap(descend)(100))
    coro.configure(before)
  end)

  local function carry(n)
    local threads, sum = {}, 0
    for i = 1, n do
      threads[i] = coro.create(function()
        table.sort({ 2, 1 }, function(a, b)
          local value = coro.transfer(nil)
          sum = sum + value
          return a < b
        end)
        coro.transfer(nil)
      end)
      coro.transfer(threads[i])
    end
    local stats = coro.stats()
    assert.are.equal(n, stats.pinned)
    assert.are.equal(n, stats.threads)
    for i = 1, n do coro.transfer(threads[i], 1) end
    assert.is_true(sum >= n) -- a pair takes one or two comparisons
    threads = nil -- luacheck: ignore
    collect()
    stats = coro.stats()
    assert.are.equal(0, stats.pinned)
    assert.is_true(stats.stacks_idle <= coro.configure().warm_stacks + 1)
  end

  it("carry 20,000 pinned threads at once, and all go back", function()
    with_many_stacks(function(most) carry(math.min(20000, most)) end)
  end)

  it("are not held by threads that are merely suspended, beyond the warm ones", function()
    local threads = {}
    for i = 1, 5000 do
      threads[i] = coro.create(function() coro.transfer(nil) end)
      coro.transfer(threads[i])
    end
    local stats = coro.stats()
    assert.are.equal(5000, stats.threads)
    assert.are.equal(0, stats.pinned)
    assert.is_true(stats.mounted <= coro.configure().warm_stacks)
    threads = nil -- luacheck: ignore
  end)

  it("are not held by handlers that wait in generators that wait", function()
    local handlers, waiting = {}, {}
    for i = 1, 2000 do
      handlers[i] = coro.create(function()
        local generator = coro.wrap(function()
          waiting[i] = coro.current()
          coro.yield(coro.transfer(nil))
        end)
        coro.transfer(nil, generator())
      end)
      coro.transfer(handlers[i])
    end
    assert.is_true(coro.stats().mounted <= coro.configure().warm_stacks)
    for i = 1, 2000 do assert.are.equal(i, coro.transfer(waiting[i], i)) end
    handlers = nil -- luacheck: ignore
  end)
end)
