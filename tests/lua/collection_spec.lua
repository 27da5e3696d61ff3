local fixture = require "fixture"
local mode = require "mode"
local coro, collect = fixture.coro, fixture.collect

describe("a thread that nothing can reach", function()
  fixture.leaves_nothing(before_each, after_each)

  local function in_sort(wait)
    table.sort({ 3, 2, 1 }, function(a, b)
      wait()
      return a < b
    end)
  end

  -- A weak table with a thread in it that was started by `starts` and is suspended in `wait`.
  local function dropped(starts, wait)
    local weak = setmetatable({}, { __mode = "v" })
    local thread = coro.create(function()
      local object = setmetatable({}, { __mode = "k" })
      weak.object = object
      wait()
      return object
    end)
    weak.thread = thread
    starts(thread)
    return weak
  end

  local waits = {
    ["transfer"] = { coro.transfer, function() coro.transfer(nil) end },
    ["yield"] = { coro.resume, function() coro.yield() end },
    ["transfer inside sort"] = { coro.transfer, function() in_sort(coro.transfer) end },
    ["yield inside sort"] = { coro.resume, function() in_sort(coro.yield) end },
    ["wrap"] = { coro.transfer, function() coro.wrap(function() coro.transfer(nil) end)() end },
    ["resume inside sort"] = {
      coro.transfer,
      function()
        in_sort(function() coro.resume(coro.create(function() in_sort(coro.transfer) end)) end)
      end,
    },
    ["transfer inside a standard coroutine"] = {
      coro.transfer,
      function() fixture.standard.wrap(function() coro.transfer(nil) end)() end,
    },
  }
  for name, wait in pairs(waits) do
    it("is collected, suspended in " .. name, function()
      local weak = dropped(wait[1], wait[2])
      collect()
      assert.is_nil(weak.thread)
      assert.is_nil(weak.object)
    end)
  end

  it("is collected together with one that resumed it", function()
    local weak = setmetatable({}, { __mode = "v" })
    local outer = coro.create(function()
      local inner = coro.create(function() coro.transfer(nil) end)
      weak.inner = inner
      coro.resume(inner)
    end)
    weak.outer = outer
    coro.transfer(outer)
    outer = nil -- luacheck: ignore
    collect()
    assert.is_nil(weak.outer)
    assert.is_nil(weak.inner)
  end)

  it("runs no Lua code when it is collected", function()
    local ran = false
    for _, wait in pairs(waits) do
      dropped(wait[1], function()
        xpcall(wait[2], function() ran = true end)
        ran = true
      end)
    end
    collect()
    assert.is_false(ran)
  end)

  it("gives its C stack back, a thousand times over", function()
    local most = 0
    for i = 1, 3000 do
      dropped(coro.transfer, waits["transfer inside sort"][2])
      if i % 100 == 0 then
        collect()
        most = math.max(most, coro.stats().stacks_in_use)
      end
    end
    assert.is_true(most < 50, most .. " stacks in use after collections")
  end)

  it("gives its C stack back when all of them are in use", function()
    local before = coro.configure()
    coro.configure { max_stacks = coro.stats().stacks_in_use + 20 }
    collectgarbage "stop"
    for _ = 1, 100 do dropped(coro.transfer, waits["transfer inside sort"][2]) end
    collectgarbage "restart"
    coro.configure(before)
  end)
end)

describe("a collection that is not finished", function()
  fixture.leaves_nothing(before_each, after_each)

  it("leaves stats exact", function()
    for _ = 1, 100 do
      for _ = 1, 30 do coro.transfer(coro.create(function() coro.transfer(nil) end)) end
      for _ = 1, 60 do
        collectgarbage("step", 1)
        assert.are.equal(0, coro.stats().pinned)
      end
    end
  end)
end)

describe("a thread that something waits for", function()
  fixture.leaves_nothing(before_each, after_each)

  it("keeps its resumer alive, and all of that one's resumers", function()
    local inner
    local function chain(depth)
      return coro.create(function()
        if depth == 0 then
          inner = coro.current()
          coro.transfer(nil)
          return "done"
        end
        return (select(2, coro.resume(chain(depth - 1)))) .. depth
      end)
    end
    local result
    coro.transfer(coro.create(function()
      result = select(2, coro.resume(chain(5)))
      coro.transfer(nil)
    end))
    for _ = 1, 3 do
      collect()
      assert.are.equal("suspended", coro.status(inner))
    end
    coro.transfer(inner)
    assert.are.equal("done12345", result)
    inner = nil -- luacheck: ignore
  end)

  it("survives collections on every switch of a handler in a generator", function()
    local waiting = {}
    local sums = {}
    local function wait()
      collectgarbage()
      waiting[#waiting + 1] = coro.current()
      return coro.transfer(nil)
    end
    for i = 1, 10 do
      coro.transfer(coro.create(function()
        local sum = 0
        local doubled = coro.wrap(function()
          for value in
            coro.wrap(function()
              for _ = 1, 5 do coro.yield(wait()) end
            end)
          do
            collectgarbage()
            coro.yield(2 * value)
          end
        end)
        for value in doubled do
          collectgarbage()
          sum = sum + value
        end
        sums[i] = sum
        collectgarbage()
        coro.transfer(nil)
      end))
    end
    while #waiting > 0 do
      collectgarbage()
      coro.transfer(table.remove(waiting, 1), 1)
    end
    for i = 1, 10 do assert.are.equal(10, sums[i]) end
  end)

  it("survives when it was continued by one whose own caller is gone", function()
    local first, result
    coro.transfer(coro.create(function()
      first = coro.current()
      coro.transfer(coro.create(function()
        -- Only this thread's resume keeps it alive once the first goes on.
        result = { coro.resume(first, "resumed") }
        collectgarbage()
        coro.transfer(nil)
      end))
      first = nil
      local inner = coro.wrap(function() collectgarbage() end)
      for _ = 1, 3 do
        collectgarbage()
        inner = coro.wrap(inner)
      end
      inner()
      return "finished"
    end))
    assert.are.same({ true, "finished" }, result)
  end)

  it("survives below a standard coroutine that goes on in its stead", function()
    local inner, finished
    coro.transfer(coro.create(function()
      fixture.standard.wrap(function()
        inner = coro.current()
        coro.transfer(nil)
        inner = nil
        collectgarbage()
        collectgarbage()
      end)()
      finished = true
      coro.transfer(nil)
    end))
    collectgarbage()
    coro.transfer(inner)
    assert.is_true(finished)
  end)
end)

describe("a switch", function()
  fixture.leaves_nothing(before_each, after_each)

  -- The thread that runs, whose base or resumer nobody else refers to, after a collection.
  local function fill_memory()
    collect()
    local keep = {}
    for i = 1, 1000 do keep[i] = { ("x"):rep(i % 200) } end
    return keep
  end

  it("spares a thread that was left for by one that is closed since", function()
    local x
    x = coro.create(function()
      coro.transfer(coro.create(function()
        local ok, result = coro.resume(coro.create(function()
          coro.close(x)
          x = nil
          fill_memory()
          return "from the innermost"
        end))
        coro.transfer(nil, ok, result)
      end))
    end)
    assert.are.same({ n = 2, true, "from the innermost" }, fixture.pack(coro.transfer(x)))
  end)

  it("spares the base below a standard coroutine that runs, however it was come to", function()
    local nested
    local function start()
      coro.safewrap(function(yield)
        coro.resume(coro.create(function()
          fixture.standard.wrap(function()
            nested = coro.current()
            local leave = yield
            yield = nil
            leave(1)
            leave = nil -- luacheck: ignore
            fill_memory()
          end)()
        end))
      end)()
    end
    start()
    assert.is_true((coro.resume(nested)))
  end)

  it("makes no garbage, however many values there are", function()
    mode.relax() -- a collection meanwhile would make stacks narrow
    local values = {}
    for i = 1, 50 do values[i] = i end
    local function switching(switch)
      return function()
        while true do
          switch()
          switch(1, nil, 3)
          switch(fixture.unpack(values))
        end
      end
    end
    local thread = coro.create(switching(function(...) coro.transfer(nil, ...) end))
    local generator = coro.wrap(switching(coro.yield))
    local pinned = coro.wrap(function() table.sort({ 2, 1 }, switching(coro.yield)) end)
    local function switch(n)
      for _ = 1, n do
        coro.transfer(thread)
        coro.transfer(thread, fixture.unpack(values))
        generator(1, 2, 3, 4, 5, 6, 7, 8)
        pinned(fixture.unpack(values))
      end
    end
    if jit then jit.off() end -- whose traces are allocated
    collect() -- which makes stacks narrow
    collectgarbage "stop"
    switch(100)
    local before = collectgarbage "count"
    switch(1000)
    local after = collectgarbage "count"
    collectgarbage "restart"
    if jit then jit.on() end
    assert.is_true(after - before < 1, (after - before) .. " KB")
  end)
end)
