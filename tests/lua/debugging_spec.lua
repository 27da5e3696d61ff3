-- What the debug library shows of suspended threads, wherever they wait.
local fixture = require "fixture"
local coro, standard, collect = fixture.coro, fixture.standard, fixture.collect

local function in_sort(wait)
  table.sort({ 2, 1 }, function(a, b)
    local in_comparison = "compares"
    wait()
    return a < b, in_comparison
  end)
end

local waits = {
  transfer = function() coro.transfer(nil) end,
  ptransfer = function() coro.ptransfer(nil) end,
  resume = function() coro.resume(coro.create(function() coro.transfer(nil) end)) end,
  wrap = function() coro.wrap(function() coro.transfer(nil) end)() end,
  ["transfer inside sort"] = function() in_sort(coro.transfer) end,
  ["a standard yield"] = function() standard.yield() end,
}

local function started(wait, results)
  local thread = coro.create(function(parameter)
    local a_local = parameter + 1
    wait()
    if results then results[1], results[2] = parameter, a_local end
    coro.transfer(nil)
  end)
  coro.resume(thread, 41)
  return thread
end

-- The level of the function that has the local variable, its index and value.
local function find_local(thread, name)
  for level = 0, 20 do
    if not debug.getinfo(thread, level, "l") then return end
    for index = 1, 20 do
      local found, value = debug.getlocal(thread, level, index)
      if not found then break end
      if found == name then return level, index, value end
    end
  end
end

describe("a suspended thread shows", function()
  fixture.leaves_nothing(before_each, after_each)

  for name, wait in pairs(waits) do
    it("its functions and their variables, in " .. name, function()
      local thread = started(wait)
      local level, _, value = find_local(thread, "a_local")
      assert.are.equal(42, value)
      assert.are.equal(41, (select(3, find_local(thread, "parameter"))))
      local info = debug.getinfo(thread, level, "Sl")
      assert.are.equal("Lua", info.what)
      assert.are.equal(info.linedefined + 2, info.currentline)
      assert.are.equal("C", debug.getinfo(thread, 0, "S").what)
      assert.is_nil(debug.getinfo(thread, level + 1, "l"))
    end)

    it("a traceback, in " .. name, function()
      local thread = started(wait)
      local lines = {}
      for line in debug.traceback(thread):gmatch "[^\n]+" do lines[#lines + 1] = line end
      assert.are.equal("stack traceback:", lines[1])
      assert.matches("%[C%]", lines[2])
      assert.matches("debugging_spec.lua:%d+", lines[3])
      local level = find_local(thread, "a_local")
      assert.are.equal(level + 2, #lines)
      assert.matches("debugging_spec.lua:%d+", lines[#lines])
      assert.are.equal("C", debug.getinfo(thread, 0, "S").what)
    end)

    it("what its variables are set to, in " .. name, function()
      local results = {}
      local thread = started(wait, results)
      local level, index = find_local(thread, "a_local")
      assert.are.equal("a_local", debug.setlocal(thread, level, index, "set"))
      repeat coro.transfer(thread) until results[1]
      assert.are.same({ 41, "set" }, results)
    end)
  end

  it("the variables of functions that C has called, where it is pinned", function()
    local thread = started(waits["transfer inside sort"])
    local level, _, value = find_local(thread, "in_comparison")
    assert.are.equal("compares", value)
    assert.are.equal(table.sort, debug.getinfo(thread, level + 1, "f").func)
  end)
end)

-- Beside its arguments, the C function at level 0 has values there that are coro's own.
describe("what coro keeps at level 0 of a suspended thread", function()
  fixture.leaves_nothing(before_each, after_each)

  local function kept_by(thread)
    local values = { n = 0 }
    while true do
      local name, value = debug.getlocal(thread, 0, values.n + 1)
      if not name then return values end
      values.n = values.n + 1
      values[values.n] = value
    end
  end

  -- The one to be meddled with, and one that it waits for or is waited for by.
  local makers = {
    unlinked = function()
      local thread = coro.create(function() waits.transfer() end)
      coro.transfer(thread)
      return thread
    end,
    yielded = function() return started(coro.yield) end,
    pinned = function() return started(waits["transfer inside sort"]) end,
    ["by the standard"] = function() return started(standard.yield) end,
    ["as resumer"] = function()
      local inner = coro.create(function() coro.transfer(nil) end)
      local outer = coro.create(function() coro.resume(inner) end)
      coro.transfer(outer)
      return outer, inner
    end,
    resumed = function()
      local inner = coro.create(function() coro.transfer(nil) end)
      local outer = coro.create(function() coro.resume(inner) end)
      coro.transfer(outer)
      return inner, outer
    end,
    nested = function()
      local inner
      local outer = coro.create(function()
        standard.wrap(function()
          inner = coro.current()
          coro.transfer(nil)
        end)()
      end)
      coro.transfer(outer)
      return inner, outer
    end,
  }

  local function use(thread, other, way)
    if way == 1 then coro.resume(thread, "x") end
    if way == 2 then pcall(coro.transfer, thread, "x") end
    if way == 3 then pcall(coro.throw, thread, "x") end
    if way == 4 and other then coro.resume(other, "x") end
    coro.status(thread)
    coro.isyieldable(thread)
    debug.traceback(thread)
    pcall(coro.close, thread)
    coro.resume(thread, fixture.unpack({}, 1, 50))
  end

  it("is harmless when it is read", function()
    for _, make in pairs(makers) do
      local thread = make()
      for index = 1, kept_by(thread).n do
        assert.has_no_error(function() tostring(select(2, debug.getlocal(thread, 0, index))) end)
      end
      assert.is_true((coro.resume(thread)) or coro.status(thread) == "normal"
                     or coro.status(thread) == "suspended")
    end
  end)

  -- Such a thread may be lost, or end by an error.
  it("is harmless when it is overwritten, even by what is kept elsewhere", function()
    local foreign, alive = { n = 4, nil, 1, "text", coro.create(print) }, {}
    for _, make in pairs(makers) do
      local thread = make()
      alive[#alive + 1] = thread
      local kept = kept_by(thread)
      for i = 1, kept.n do
        foreign.n = foreign.n + 1
        foreign[foreign.n] = kept[i]
      end
    end
    local overwritten = 0
    for _, make in pairs(makers) do
      for index = 1, kept_by((make())).n do
        for i = 1, foreign.n do
          for way = 1, 4 do
            local thread, other = make()
            debug.setlocal(thread, 0, index, foreign[i])
            use(thread, other, way)
            overwritten = overwritten + 1
          end
        end
        collect()
      end
    end
    assert.is_true(overwritten > 100)
    for _, thread in ipairs(alive) do assert.are_not.equal("dead", coro.status(thread)) end
    assert.are.equal("fine", (coro.wrap(function() return coro.yield "fine" end)()))
  end)
end)
