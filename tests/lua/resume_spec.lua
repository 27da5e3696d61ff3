local fixture = require "fixture"
local coro, pack, unpack = fixture.coro, fixture.pack, fixture.unpack

describe("resume and yield", function()
  fixture.leaves_nothing(before_each, after_each)

  it("pass values like the standard's", function()
    local thread = coro.create(function(...)
      local first = pack(...)
      local second = pack(coro.yield(first.n, nil))
      return second.n, nil, "end", nil
    end)
    assert.are.same({ n = 3, true, 2 }, pack(coro.resume(thread, nil, nil)))
    assert.are.same({ n = 5, true, 3, nil, "end" }, pack(coro.resume(thread, 1, nil, nil)))
    assert.are.same({ n = 2, false, "cannot resume dead coroutine" }, pack(coro.resume(thread)))
  end)

  for _, n in ipairs { 0, 1, 11, 12, 13, 14, 15, 16, 30, 250, 7000 } do
    it("pass " .. n .. " values each way", function()
      local values = {}
      for i = 1, n do values[i] = -i end
      local thread = coro.create(function(...)
        local got = pack(...)
        while true do got = pack(coro.yield(unpack(got, 1, got.n))) end
      end)
      for _ = 1, 3 do
        local back = pack(coro.resume(thread, unpack(values, 1, n)))
        assert.are.equal(n + 1, back.n)
        assert.is_true(back[1])
        for i = 1, n do assert.are.equal(-i, back[i + 1]) end
      end
      coro.close(thread)
    end)
  end

  it("continue a thread suspended in transfer, which yields to the new resumer then", function()
    local thread = coro.create(function()
      local got = coro.transfer(nil)
      got = coro.yield("yielded " .. got)
      return "returned " .. got
    end)
    coro.transfer(thread)
    assert.are.same({ n = 2, true, "yielded 1" }, pack(coro.resume(thread, 1)))
    assert.are.same({ n = 2, true, "returned 2" }, pack(coro.resume(thread, 2)))
  end)

  it("nest", function()
    local function count(n)
      return coro.create(function()
        if n > 0 then
          local inner = count(n - 1)
          while true do
            local ok, value = coro.resume(inner)
            assert(ok)
            if value == nil then break end
            coro.yield(value)
          end
        end
        coro.yield(n)
      end)
    end
    local thread, got = count(20), {}
    while true do
      local _, value = coro.resume(thread)
      if value == nil then break end
      got[#got + 1] = value
    end
    local expected = {}
    for i = 0, 20 do expected[#expected + 1] = i end
    assert.are.same(expected, got)
  end)

  it("refuse what cannot be resumed, as results", function()
    local function refused(thread) return (select(2, coro.resume(thread))) end
    local texts = { -- self and main, a normal thread
      ["Lua 5.1"] = { "cannot resume running coroutine", "cannot resume normal coroutine" },
      luajit = { "cannot resume running coroutine", "cannot resume running coroutine" },
    }
    local non_suspended = "cannot resume non-suspended coroutine"
    local running, normal = unpack(texts[fixture.lua] or { non_suspended, non_suspended })

    assert.are.equal(running, refused(coro.main))
    local outer
    outer = coro.create(function()
      assert.are.equal(running, refused(outer))
      assert.are.equal(normal, refused(coro.main))
      local ok, err = coro.resume(coro.create(function() return refused(outer) end))
      assert.is_true(ok)
      assert.are.equal(normal, err)
    end)
    assert.are.same({ n = 1, true }, pack(coro.resume(outer)))
  end)

  it("refuse main also while it is suspended in transfer", function()
    local got
    coro.transfer(coro.create(function()
      got = pack(coro.resume(coro.main))
      coro.transfer(nil)
    end))
    assert.is_false(got[1])
    assert.matches("^cannot resume", got[2])
  end)

  it("raise for what is not a thread", function()
    assert.has_error(function() coro.resume(1) end)
    assert.has_error(function() coro.resume() end)
    assert.has_error(function() coro.resume(function() end) end)
  end)

  it("yield raises in main", function()
    local ok, err = pcall(coro.yield)
    assert.is_false(ok)
    assert.are.equal(select(2, pcall(fixture.standard.yield)), err)
    local function call(yield)
      local x = yield()
      return x
    end
    local _, expected = pcall(call, fixture.standard.yield)
    assert.are.equal(expected, select(2, pcall(call, coro.yield)))
  end)

  it("yield raises in a thread that was transferred into, which goes on", function()
    local thread = coro.create(function() coro.transfer(nil, pcall(coro.yield, 1)) end)
    assert.are.same(
      { n = 2, false, "attempt to yield from a coroutine that was not resumed" },
      pack(coro.transfer(thread))
    )
  end)
end)

describe("wrap", function()
  fixture.leaves_nothing(before_each, after_each)

  it("makes a generator", function()
    local got = {}
    for a, b in
      coro.wrap(function()
        for i = 1, 5 do coro.yield(i, i * i) end
      end)
    do
      got[#got + 1] = a .. ":" .. b
    end
    assert.are.same({ "1:1", "2:4", "3:9", "4:16", "5:25" }, got)
  end)

  it("raises for a dead thread with the caller's position", function()
    local f = coro.wrap(function() end)
    f()
    local ok, err = pcall(function() f() end)
    assert.is_false(ok)
    assert.matches("resume_spec.lua:%d+: cannot resume dead coroutine", err)
  end)

  it("raises unless it is given a function", function()
    for _, value in ipairs { 1, "f", {}, true } do
      assert.has_error(function() coro.wrap(value) end)
      assert.has_error(function() coro.create(value) end)
    end
    assert.has_error(function() coro.wrap() end)
  end)

  it("takes a C function", function()
    assert.are.equal("1", coro.wrap(tostring)(1))
    assert.are.same({ n = 2, true, "number" }, pack(coro.resume(coro.create(type), 1)))
  end)

  it("takes coro's own functions", function()
    local f = coro.wrap(coro.yield)
    assert.are.same({ n = 2, 1, 2 }, pack(f(1, 2)))
    assert.are.same({ n = 2, 3, 4 }, pack(f(3, 4)))
    assert.has_error(function() f() end)
  end)

  it("suspends inside a function called by itself", function()
    local inner = coro.wrap(function()
      while true do coro.transfer(nil, "from the generator") end
    end)
    local thread = coro.create(function()
      inner()
      coro.transfer(nil, "from the caller")
    end)
    assert.are.equal("from the generator", coro.transfer(thread))
    assert.are.equal("from the caller", coro.transfer(thread))
  end)
end)
