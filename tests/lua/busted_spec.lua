-- busted itself, run in a thread: its tests wait for main in the middle.
local fixture = require "fixture"

local spec = [[
  local coro = require "coro"
  local function wait(...) return coro.transfer(nil, ...) end

  describe("a suite in a thread", function()
    local given
    before_each(function() given = wait "before each" end)
    after_each(function() wait "after each" end)

    it("waits in a test", function()
      assert.are.equal("before each", given)
      assert.are.equal("in a test", wait "in a test")
    end)
    it("fails after it has waited", function()
      assert.are.equal("one", wait "another")
    end)
    it("waits in what assert calls", function()
      local ok, err = pcall(error, "text", 0)
      assert.has_error(function()
        wait "in has_error"
        error(err, 0)
      end, "text")
      local stub = require "luassert.spy".new(function(x) return wait(x) end)
      assert.are.equal("spied", stub "spied")
      assert.spy(stub).was.called_with "spied"
      assert.is_false(ok)
    end)
    it("iterates over generators", function()
      local sum = 0
      for i in coroutine.wrap(function()
        for i = 1, 3 do coroutine.yield(wait(i)) end
      end) do sum = sum + i end
      assert.are.equal(6, sum)
    end)
  end)
]]

describe("busted", function()
  it("runs in a thread, with coro in the place of the standard library", function()
    local unique = os.tmpname()
    local name = unique .. "_spec.lua"
    local file = assert(io.open(name, "w"))
    file:write(spec)
    file:close()
    local output = fixture.run(([[
      local coro = require "coro"
      require "mode"
      coro.install()
      arg = { [0] = "busted", "--output=plainTerminal", %q }
      local runner = coro.create(function() require "busted.runner" { standalone = false } end)
      -- Who waits is told by the current thread; main gives back what it is given.
      local original, asker = coro.transfer, runner
      coro.transfer = function(...)
        asker = coro.current()
        return original(...)
      end
      local answer
      while true do answer = original(asker, answer) end
    ]]):format(name))
    os.remove(unique)
    os.remove(name)
    assert.matches("3 successes / 1 failure / 0 errors", output)
    assert.matches("fails after it has waited", output)
    assert.matches("exit status 1\n$", output)
  end)
end)
