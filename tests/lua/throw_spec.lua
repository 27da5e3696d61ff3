local fixture = require "fixture"
local coro, pack = fixture.coro, fixture.pack

describe("throw", function()
  fixture.leaves_nothing(before_each, after_each)

  local places = {
    transfer = function() return coro.transfer(nil) end,
    ["transfer inside sort"] = function()
      table.sort({ 3, 2, 1 }, function(a, b)
        coro.transfer(nil)
        return a < b
      end)
    end,
    ["transfer in a tail call under pcall"] = function() return (coro.transfer(nil)) end,
    ["yield"] = function() coro.yield() end,
    ["a wrap function"] = function() coro.wrap(function() coro.transfer(nil) end)() end,
  }
  for name, wait in pairs(places) do
    it("raises the error in a thread suspended in " .. name, function()
      for _, err in ipairs { "text", 42, { "table" } } do
        local caught
        local thread = coro.create(function()
          caught = pack(pcall(wait))
          coro.transfer(nil, "went on")
        end)
        if name == "yield" then
          coro.resume(thread)
        else
          coro.transfer(thread)
        end
        assert.are.equal("went on", coro.throw(thread, err))
        assert.are.equal(2, caught.n)
        assert.is_false(caught[1])
        assert.are.equal(err, caught[2])
      end
    end)
  end

  it("raises at the call itself, also where pcall is called on it directly", function()
    local caught
    local thread = coro.create(function()
      caught = pack(pcall(coro.transfer, nil))
      coro.transfer(nil, "went on")
    end)
    coro.transfer(thread)
    assert.are.equal("went on", coro.throw(thread, "direct"))
    assert.are.same({ n = 2, false, "direct" }, caught)
  end)

  it("raises before anything that follows the call", function()
    local followed = false
    local thread = coro.create(function()
      for _ = 1, 200 do coro.transfer(nil) end -- hot, for LuaJIT
      followed = true
    end)
    for _ = 1, 200 do coro.transfer(thread) end
    assert.has_error(function() coro.throw(thread, "x") end)
    assert.is_false(followed)
    assert.are.equal("dead", coro.status(thread))
  end)

  it("raises in a hot loop of calls under pcall", function()
    local caught = 0
    local thread = coro.create(function()
      while true do
        local ok = pcall(function() coro.transfer(nil) end)
        if not ok then caught = caught + 1 end
      end
    end)
    coro.transfer(thread)
    for i = 1, 300 do
      if i % 3 == 0 then
        coro.throw(thread, "x")
      else
        coro.transfer(thread)
      end
    end
    assert.are.equal(100, caught)
  end)

  it("is returned by ptransfer and resume, with a traceback", function()
    local got
    local thread = coro.create(function()
      got = pack(coro.ptransfer(nil))
      got = pack(coro.resume(coro.create(function() coro.transfer(nil, got) end)))
      coro.transfer(nil, got)
    end)
    coro.transfer(thread)
    got = coro.throw(thread, "one")
    assert.are.same({ n = 3, false, "one", got[3] }, got)
    assert.matches("^stack traceback:", got[3])
    got = coro.throw(thread, "two")
    assert.are.same({ n = 3, false, "two", got[3] }, got)
  end)

  it("kills a fresh thread, and the error goes where its errors go", function()
    local ran = false
    local thread = coro.create(function() ran = true end)
    local ok, err = pcall(coro.throw, thread, "early")
    assert.is_false(ok)
    assert.are.equal("early", err)
    assert.are.equal("dead", coro.status(thread))
    assert.is_false(ran)
  end)

  it("goes to the resumer of the thread that it kills", function()
    local inner = coro.create(function() coro.transfer(nil) end)
    local got
    local outer = coro.create(function()
      got = pack(coro.resume(inner))
      coro.transfer(nil)
    end)
    coro.transfer(outer)
    coro.throw(inner, "for the resumer")
    assert.is_false(got[1])
    assert.are.equal("for the resumer", got[2])
  end)

  it("raises in main, too", function()
    local thread = coro.create(function() coro.throw(nil, "to main") end)
    local ok, err = pcall(coro.transfer, thread)
    assert.is_false(ok)
    assert.are.equal("to main", err)
  end)

  it("raises in a thread suspended by the standard yield", function()
    local followed = false
    local thread = fixture.standard.create(function()
      fixture.standard.yield()
      followed = true
    end)
    fixture.standard.resume(thread)
    local ok, err = pcall(coro.throw, thread, "x")
    assert.is_false(ok)
    assert.are.equal("x", err)
    assert.is_false(followed)
  end)

  if fixture.lua ~= "Lua 5.1" then -- whose standard yield cannot cross a pcall
    it("can be caught in a hot loop around the standard yield, before that goes on", function()
      local steps = 0
      local thread = coro.create(function()
        local ok, err = pcall(function()
          while true do
            fixture.standard.yield() -- LuaJIT leaves one trace here and goes on in another one
            for _ = 1, 100 do steps = steps + 1 end
            if steps > 10000 then error "too late" end
          end
        end)
        coro.transfer(nil, ok, err)
      end)
      for _ = 1, 80 do assert(coro.resume(thread)) end
      local before = steps
      local ok, err = coro.throw(thread, "thrown")
      assert.is_false(ok)
      assert.are.equal("thrown", err)
      assert.are.equal(before, steps)
    end)

    it("can be caught by a thread suspended by the standard yield", function()
      local caught
      local thread = fixture.standard.create(function()
        caught = pack(pcall(function() fixture.standard.yield() end))
        coro.transfer(nil, "went on")
      end)
      fixture.standard.resume(thread)
      assert.are.equal("went on", coro.throw(thread, "x"))
      assert.are.same({ n = 2, false, "x" }, caught)
    end)
  end

  -- Throws into a thread that has a hook and is started by `start`; it catches the error that
  -- `wait` raises.
  local function assert_keeps_hook(create, start, wait)
    local thread = create(function()
      pcall(function() wait() end)
      coro.transfer(nil)
    end)
    local hook = function() end
    debug.sethook(thread, hook, "", 1000000)
    start(thread)
    coro.throw(thread, "x")
    local got, _, count = debug.gethook(thread)
    assert.are.equal(hook, got)
    assert.are.equal(1000000, count)
    debug.sethook(thread)
    debug.sethook()
  end

  it("keeps the thread's debug hook", function()
    assert_keeps_hook(coro.create, coro.transfer, coro.transfer)
  end)

  if fixture.lua ~= "Lua 5.1" then
    it("keeps it also where the thread is suspended by the standard yield", function()
      local standard = fixture.standard
      assert_keeps_hook(standard.create, standard.resume, standard.yield)
    end)
  end

  it("refuses what transfer refuses", function()
    for _, target in ipairs { 1, coro.main, false } do
      assert.has_error(function() coro.throw(target, "x") end)
    end
    local dead = coro.create(function() end)
    coro.resume(dead)
    local ok, err = pcall(coro.throw, dead, "x")
    assert.is_false(ok)
    assert.matches("cannot throw to dead coroutine", err)
  end)
end)

describe("ptransfer", function()
  fixture.leaves_nothing(before_each, after_each)

  it("returns true and the values", function()
    local thread = coro.create(function(...) coro.transfer(nil, select("#", ...), nil) end)
    assert.are.same({ n = 3, true, 2 }, pack(coro.ptransfer(thread, nil, nil)))
  end)

  it("returns false, the error and the traceback of the failed thread", function()
    local function failing() error({ "e" }) end
    local thread = coro.create(function() failing() end)
    local ok, err, traceback = coro.ptransfer(thread)
    assert.is_false(ok)
    assert.are.same({ "e" }, err)
    assert.matches("^stack traceback:.*throw_spec.lua", traceback)
  end)

  it("still raises for misuse", function()
    assert.has_error(function() coro.ptransfer(1) end)
    assert.has_error(function() coro.ptransfer(nil) end)
  end)
end)
