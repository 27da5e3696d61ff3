-- cqueues: a scheduler in C with threads of its own, which it makes, resumes and yields itself.
local fixture = require "fixture"
local coro = fixture.coro
local guests = require "guests"

guests.each_order(function(order, load)
  describe("cqueues, " .. order .. ",", function()
    local cqueues, condition, queue
    before_each(function()
      cqueues, condition = load("cqueues", "cqueues.condition")
      queue = cqueues.new()
    end)
    after_each(function()
      cqueues, condition, queue = nil, nil, nil
      guests.leave()
    end)
    fixture.leaves_nothing(before_each, after_each)

    it("runs its threads as ever", function()
      local log = {}
      local signal = condition.new()
      queue:wrap(function()
        signal:wait()
        log[#log + 1] = "woken"
      end)
      queue:wrap(function()
        cqueues.sleep(0.001)
        log[#log + 1] = "slept"
        signal:signal()
      end)
      assert(queue:loop())
      assert.are.same({ "slept", "woken" }, log)
    end)

    it("gives the errors of its threads", function()
      queue:wrap(function()
        cqueues.sleep(0)
        error("of mine", 0)
      end)
      local ok, err = queue:loop()
      assert.is_nil(ok or nil)
      assert.are.equal("of mine", err)
    end)

    it("has threads that use generators", function()
      local got = {}
      queue:wrap(function()
        for i in coroutine.wrap(function()
          table.sort({ 2, 1 }, function(a, b)
            coroutine.yield("in sort")
            return a < b
          end)
          coroutine.yield "after it"
        end) do
          got[#got + 1] = i
          cqueues.sleep(0)
        end
        got[#got + 1] = coro.status(coro.current())
      end)
      assert(queue:loop())
      assert.are.equal("in sort", got[1])
      assert.are.equal("after it", got[#got - 1])
      assert.are.equal("running", got[#got])
    end)

    it("waits for what a generator needs, whose yield crosses the others", function()
      local sum = 0
      queue:wrap(function()
        local step = coro.safewrap(function(poll)
          local function numbers(n)
            return coroutine.wrap(function()
              for i = 1, n do
                poll(0.001)
                coroutine.yield(i)
              end
            end)
          end
          for i in numbers(3) do
            for j in numbers(i) do sum = sum + j end
          end
        end)
        for timeout in step do cqueues.sleep(timeout) end
      end)
      assert(queue:loop())
      assert.are.equal(1 + 3 + 6, sum)
    end)

    it("is left in the middle of a thread, and gone on with", function()
      local inside, log = nil, {}
      queue:wrap(function()
        inside = coro.current()
        log[#log + 1] = coro.transfer(nil, "left")
        cqueues.sleep(0)
        log[#log + 1] = "slept"
      end)
      local host = coro.create(function()
        assert(queue:loop())
        coro.transfer(nil, "over")
      end)
      assert.are.equal("left", coro.transfer(host))
      assert.are.equal("suspended", coro.status(inside))
      assert.are.equal("over", coro.transfer(inside, "back"))
      assert.are.same({ "back", "slept" }, log)
    end)
  end)
end)
