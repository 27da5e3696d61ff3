local fixture = require "fixture"
local coro, pack, standard = fixture.coro, fixture.pack, fixture.standard

describe("status", function()
  fixture.leaves_nothing(before_each, after_each)

  it("is suspended for a thread that has not started", function()
    assert.are.equal("suspended", coro.status(coro.create(function() end)))
  end)

  it("is running for the current thread", function()
    assert.are.equal("running", coro.status(coro.main))
    local thread
    thread = coro.create(function() return coro.status(thread) end)
    assert.are.equal("running", select(2, coro.resume(thread)))
  end)

  it("is suspended while waiting in transfer, ptransfer and yield", function()
    for _, wait in ipairs { coro.transfer, coro.ptransfer, coro.yield } do
      local thread = coro.create(function() wait(nil) end)
      coro.resume(coro.create(function() coro.resume(thread) end))
      assert.are.equal("suspended", coro.status(thread))
      coro.close(thread)
    end
  end)

  it("is suspended for main while it waits in transfer, normal in resume and wrap", function()
    local got = {}
    coro.transfer(coro.create(function()
      got[1] = coro.status(coro.main)
      coro.transfer(nil)
    end))
    coro.resume(coro.create(function() got[2] = coro.status(coro.main) end))
    coro.wrap(function() got[3] = coro.status(coro.main) end)()
    assert.are.same({ "suspended", "normal", "normal" }, got)
  end)

  it("is normal while waiting in resume or wrap, even for a suspended thread", function()
    local outer = coro.create(function()
      coro.wrap(function() coro.transfer(nil) end)()
      coro.transfer(nil)
    end)
    coro.transfer(outer)
    assert.are.equal("normal", coro.status(outer))
    coro.transfer(outer)
    assert.are.equal("suspended", coro.status(outer))
  end)

  it("is normal for a thread that runs a standard resume", function()
    local outer
    outer = coro.create(function()
      return standard.wrap(function() return coro.status(outer) end)()
    end)
    assert.are.equal("normal", select(2, coro.resume(outer)))
  end)

  it("is dead for a thread that returned, failed or was closed", function()
    local returned, failed, closed =
      coro.create(function() return 1, 2, 3 end), coro.create(error), coro.create(function() end)
    coro.resume(returned)
    coro.resume(failed)
    coro.close(closed)
    assert.are.equal("dead", coro.status(returned))
    assert.are.equal("dead", coro.status(failed))
    assert.are.equal("dead", coro.status(closed))
  end)

  it("raises for what is not a thread", function()
    for _, value in ipairs { 1, "x", {} } do
      assert.has_error(function() coro.status(value) end)
    end
    assert.has_error(function() coro.status() end)
  end)
end)

describe("current and running", function()
  fixture.leaves_nothing(before_each, after_each)

  it("current is nil in main and the thread elsewhere", function()
    assert.are.same({ n = 1 }, pack(coro.current()))
    local thread
    thread = coro.create(function() return coro.current() == thread end)
    assert.is_true(select(2, coro.resume(thread)))
  end)

  it("current is the inner thread inside a standard coroutine", function()
    local ok, same = coro.resume(coro.create(function()
      local inner
      inner = standard.create(function() return coro.current() == inner end)
      return select(2, standard.resume(inner))
    end))
    assert.is_true(ok and same)
  end)

  it("running gives what the standard's gives", function()
    assert.are.same(pack(standard.running()), pack(coro.running()))
    local ok, same = coro.resume(coro.create(function()
      local expected, got = pack(standard.running()), pack(coro.running())
      return expected.n == got.n and expected[1] == got[1] and expected[2] == got[2]
    end))
    assert.is_true(ok and same)
  end)

  it("main is the main thread", function()
    assert.are.equal("thread", type(coro.main))
    assert.are.equal("running", coro.status(coro.main))
  end)

  it("threads are plain threads", function()
    assert.are.equal("thread", type(coro.create(function() end)))
  end)
end)

describe("isyieldable", function()
  fixture.leaves_nothing(before_each, after_each)

  it("is false in main, and for main", function()
    assert.is_false(coro.isyieldable())
    assert.is_false(coro.isyieldable(coro.main))
    assert.is_false(coro.wrap(function() return coro.isyieldable(coro.main) end)())
  end)

  it("is false in a thread that was transferred into", function()
    local thread = coro.create(function() coro.transfer(nil, coro.isyieldable()) end)
    assert.is_false(coro.transfer(thread))
  end)

  it("is true in a resumed thread, inside sort, too", function()
    assert.is_true(coro.wrap(function() return coro.isyieldable() end)())
    local got
    coro.wrap(function()
      table.sort({ 2, 1 }, function(a, b)
        got = coro.isyieldable()
        return a < b
      end)
    end)()
    assert.is_true(got)
  end)

  it("is true of a thread that is suspended or fresh", function()
    local thread = coro.create(function() coro.transfer(nil) end)
    assert.is_true(coro.isyieldable(thread))
    coro.transfer(thread)
    assert.is_true(coro.isyieldable(thread))
    coro.close(thread)
  end)

  it("is false of a dead thread, but where the standard library has it otherwise", function()
    local returned, failed = coro.create(function() end), coro.create(function() error "x" end)
    coro.resume(returned)
    coro.resume(failed)
    local is_true = _VERSION == "Lua 5.4"
    assert.are.equal(is_true, coro.isyieldable(returned))
    assert.are.equal(is_true, coro.isyieldable(failed))
  end)

  it("is false when the resumer went on otherwise", function()
    local got
    local thread = coro.create(function()
      coro.transfer(nil)
      got = coro.isyieldable()
      coro.transfer(nil)
    end)
    local outer = coro.create(function()
      coro.resume(thread)
      coro.transfer(nil)
    end)
    coro.transfer(outer)
    coro.transfer(outer)
    coro.transfer(thread)
    assert.is_false(got)
  end)
end)
