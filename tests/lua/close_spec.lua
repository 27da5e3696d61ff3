local fixture = require "fixture"
local coro, pack = fixture.coro, fixture.pack

describe("close", function()
  fixture.leaves_nothing(before_each, after_each)

  local function in_sort(wait)
    return function()
      table.sort({ 3, 2, 1 }, function(a, b)
        wait()
        return a < b
      end)
    end
  end

  it("makes a fresh thread dead", function()
    local thread = coro.create(function() end)
    assert.are.same({ n = 1, true }, pack(coro.close(thread)))
    assert.are.equal("dead", coro.status(thread))
  end)

  for name, body in pairs {
    transfer = function() coro.transfer(nil) end,
    yield = function() coro.yield() end,
    ["the standard yield"] = function() fixture.standard.yield() end,
    ["transfer inside sort"] = in_sort(coro.transfer),
    ["yield inside sort"] = in_sort(function() coro.yield() end),
    ["transfer in a tail call"] = function() return coro.transfer(nil) end,
    ["a wrap function"] = function() coro.wrap(function() coro.transfer(nil) end)() end,
  } do
    it("makes a thread suspended in " .. name .. " dead", function()
      local after = false
      local thread = coro.create(function()
        body()
        after = true
      end)
      local starts = name:match "yield" and coro.resume or coro.transfer
      starts(thread)
      if name ~= "a wrap function" then
        assert.are.same({ n = 1, true }, pack(coro.close(thread)))
        assert.are.equal("dead", coro.status(thread))
        assert.are.same({ n = 2, false, "cannot resume dead coroutine" }, pack(coro.resume(thread)))
        assert.is_false(after)
      else
        assert.has_error(function() coro.close(thread) end, "cannot close a normal coroutine")
      end
    end)
  end

  it("leaves functions the variables that they share with the thread", function()
    for name, wait in pairs {
      transfer = function() coro.transfer(nil) end,
      yield = coro.yield,
      standard = fixture.standard.yield,
      sort = in_sort(function() coro.transfer(nil) end),
    } do
      for _, make in ipairs { coro.create, fixture.standard.create } do
        local get
        local thread = make(function()
          local shared = { name }
          get = function() return shared[1] end
          wait()
          return shared
        end)
        if name == "standard" then
          fixture.standard.resume(thread)
        elseif name == "yield" then
          coro.resume(thread)
        else
          coro.transfer(thread)
        end
        assert.is_true(coro.close(thread))
        assert.is_true(coro.close(thread))
        fixture.collect()
        assert.are.equal(name, get())
        assert.are.equal("dead", coro.status(thread))
        assert.is_false((coro.resume(thread)))
      end
    end
  end)

  it("leaves functions the variables that they share with a thread that failed", function()
    local get
    local thread = coro.create(function()
      local shared = { "shared" }
      get = function() return shared[1] end
      shared = shared .. {} -- fails
    end)
    assert.is_false((coro.resume(thread)))
    local ok, err = coro.close(thread)
    assert.is_false(ok)
    assert.matches("attempt to concatenate", err)
    assert.are.same({ n = 1, true }, pack(coro.close(thread)))
    fixture.collect()
    assert.are.equal("shared", get())
    assert.are.equal("dead", coro.status(thread))
  end)

  it("gives true for a thread that finished", function()
    local thread = coro.create(function() return 1 end)
    coro.resume(thread)
    assert.are.same({ n = 1, true }, pack(coro.close(thread)))
  end)

  it("gives the error that a thread died by, once", function()
    local thread = coro.create(function() error({ "e" }) end)
    local _, err = coro.resume(thread)
    local got = pack(coro.close(thread))
    assert.are.equal(2, got.n)
    assert.is_false(got[1])
    assert.are.equal(err, got[2])
    assert.are.same({ n = 1, true }, pack(coro.close(thread)))
  end)

  it("raises for a running and for a normal thread", function()
    local function refused(thread) return select(2, pcall(coro.close, thread)) end
    assert.matches("cannot close a running coroutine", refused(coro.main))
    local outer
    outer = coro.create(function()
      assert.matches("cannot close a running coroutine", refused(outer))
      assert.matches("cannot close a normal coroutine", refused(coro.main))
      coro.resume(coro.create(function()
        assert.matches("cannot close a normal coroutine", refused(outer))
      end))
      return "reached the end"
    end)
    assert.are.same({ n = 2, true, "reached the end" }, pack(coro.resume(outer)))
  end)

  if jit then
    it("raises inside a hook or finalizer for a thread that a hook would have to unwind", function()
      local function suspended()
        local thread = coro.create(in_sort(coro.transfer))
        coro.transfer(thread)
        return thread
      end
      local results = {}
      local function try(thread) results[#results + 1] = pack(pcall(coro.close, thread)) end
      local first, second = suspended(), suspended()
      jit.off()
      debug.sethook(function()
        debug.sethook()
        try(first)
      end, "", 1)
      for _ = 1, 10 do try(coro.create(print)) end
      jit.on()
      fixture.with_finalizer(function() try(second) end)
      fixture.collect()
      local refused = 0
      for _, result in ipairs(results) do
        if not result[1] then
          assert.matches("inside a finalizer or a debug hook", result[2])
          refused = refused + 1
        end
      end
      assert.are.equal(2, refused)
      assert.is_true(coro.close(first) and coro.close(second))
    end)
  end

  if not fixture.standard.close then
    it("raises where there is no C stack to unwind an unmounted thread on", function()
      local before = coro.configure()
      coro.configure { warm_stacks = 0 }
      local thread = coro.create(function() coro.transfer(nil) end)
      coro.transfer(thread)
      local function close_in_thread()
        coro.configure { max_stacks = coro.stats().stacks_in_use }
        local result = pack(pcall(coro.close, thread))
        coro.configure { max_stacks = before.max_stacks }
        return result
      end
      local result
      coro.wrap(function() in_sort(function() result = result or close_in_thread() end)() end)()
      assert.is_false(result[1])
      assert.matches("too many C stacks", result[2])
      assert.are.equal("suspended", coro.status(thread))
      assert.is_true(coro.close(thread))
      coro.configure(before)
    end)
  end

  it("raises for what is not a thread", function()
    assert.has_error(function() coro.close(1) end)
    assert.has_error(function() coro.close() end)
  end)

  it("shows pinned pcalls an error that they cannot keep", function()
    local seen, after = {}, 0
    local thread = coro.create(function()
      xpcall(function()
        xpcall(in_sort(coro.transfer), function(message)
          seen[#seen + 1] = message
          return message
        end)
        after = after + 1
      end, function(message)
        seen[#seen + 1] = message
        return message
      end)
      after = after + 1
      while true do
        pcall(coro.transfer, nil)
        after = after + 1
      end
    end)
    coro.transfer(thread)
    assert.are.same({ n = 1, true }, pack(coro.close(thread)))
    assert.are.equal("dead", coro.status(thread))
    assert.are.same({ "coroutine closed", "coroutine closed" }, seen)
    assert.are.equal(0, after)
  end)

  it("is not kept off by load, whose reader raises what it caught", function()
    local after = false
    local loads = (loadstring and load) or load
    local thread = coro.create(function()
      loads(function() pcall(coro.transfer, nil) end)
      after = true
    end)
    for _ = 1, 2 do
      coro.transfer(thread)
      assert.is_true(coro.close(thread))
      assert.are.equal("dead", coro.status(thread))
      assert.is_false(after)
      thread = coro.create(function() pcall(in_sort(coro.transfer)) end)
    end
  end)

  it("lets message handlers of a pinned thread run to their end", function()
    local steps = 0
    local thread = coro.create(function()
      xpcall(in_sort(coro.transfer), function(message)
        for _ = 1, 100 do steps = steps + #tostring(steps):rep(2) / #tostring(steps):rep(2) end
        return message
      end)
    end)
    coro.transfer(thread)
    assert.is_true(coro.close(thread))
    assert.are.equal(100, steps)
  end)

  it("works from any thread, nested in other closes", function()
    local inner = coro.create(in_sort(coro.transfer))
    coro.transfer(inner)
    local outer = coro.create(function()
      xpcall(in_sort(coro.transfer), function() assert(coro.close(inner)) end)
    end)
    coro.transfer(outer)
    local closer = coro.create(function() return coro.close(outer) end)
    assert.are.same({ n = 2, true, true }, pack(coro.resume(closer)))
    assert.are.equal("dead", coro.status(inner))
    assert.are.equal("dead", coro.status(outer))
  end)

  it("gives the C stack back", function()
    local before = coro.stats().stacks_in_use
    local threads = {}
    for i = 1, 50 do
      threads[i] = coro.create(in_sort(coro.transfer))
      coro.transfer(threads[i])
    end
    assert.are.equal(before + 50, coro.stats().stacks_in_use)
    for i = 1, 50 do coro.close(threads[i]) end
    assert.are.equal(before, coro.stats().stacks_in_use)
  end)

  it("refuses a thread that is suspended inside a standard resume", function()
    local inner
    local outer = coro.create(function()
      inner = fixture.standard.create(function() coro.transfer(nil) end)
      fixture.standard.resume(inner)
      coro.transfer(nil, "outer goes on")
    end)
    coro.transfer(outer)
    local ok, err = pcall(coro.close, inner)
    assert.is_false(ok)
    assert.matches("suspended inside a standard resume", err)
    assert.are.equal("outer goes on", coro.transfer(inner))
    coro.close(outer)
  end)

  if fixture.lua == "Lua 5.4" then
    local load_closing = function(body)
      return assert(load("local coro, closing = ...\n" .. body))
    end

    it("closes to-be-closed variables, of pinned threads too", function()
      for _, wait in ipairs {
        "coro.transfer(nil)",
        "coro.yield()",
        "table.sort({2, 1}, function() coro.transfer(nil) end)",
        "pcall(table.sort, {2, 1}, function() local b <close> = closing'b' coro.transfer(nil) end)",
      } do
        local log = {}
        local function closing(name)
          return setmetatable({}, {
            __close = function()
              for _ = 1, 50 do log[name] = (log[name] or 0) + 1 end
              log[#log + 1] = name
            end,
          })
        end
        local thread =
          coro.create(load_closing("local a <close> = closing 'a'\n" .. wait .. "\nclosing()"))
        coro.resume(thread, coro, closing)
        if coro.status(thread) == "suspended" then
          assert.are.same({ n = 1, true }, pack(coro.close(thread)))
        end
        assert.are.equal("a", log[#log])
        assert.are.equal(50, log.a)
        if wait:match "pcall" then assert.are.same({ "b", "a" }, { log[1], log[2] }) end
      end
    end)

    it("ends a thread that is suspended in a metamethod after it failed", function()
      local before = coro.configure()
      coro.configure { warm_stacks = 0 }
      local thread
      local closing = setmetatable({}, { __close = function() coro.transfer(nil) end })
      local failing = load_closing [[
        local x <close> = closing
        error "expected"
      ]]
      coro.transfer(coro.create(function()
        coro.wrap(function()
          thread = coro.current()
          failing(coro, closing)
        end)()
      end))
      local closed
      local closer = coro.create(function()
        closed = pack(coro.close(thread))
        thread = nil
        coro.yield()
      end)
      coro.resume(closer)
      fixture.collect()
      assert.are.same({ n = 1, true }, closed)
      assert.are.equal(0, coro.stats().pinned)
      assert.are.same({ n = 1, true }, pack(coro.resume(closer)))
      coro.configure(before)
    end)

    it("has a limit where metamethods close others", function()
      local levels, failure = 0, nil
      local create
      local closing = setmetatable({}, {
        __close = function()
          local ok, err = pcall(coro.close, create())
          if not ok then failure = failure or err end
        end,
      })
      function create()
        levels = levels + 1
        local thread = coro.create(load_closing "local a <close> = closing; coro.yield()")
        coro.resume(thread, coro, closing)
        return thread
      end
      coro.close(create())
      assert.matches("C stack overflow", failure)
      assert.is_true(levels <= 200, tostring(levels))
      levels, failure = 0, nil
      coro.wrap(function() coro.close(create()) end)()
      assert.matches("C stack overflow", failure)
      assert.is_true(levels <= 200, tostring(levels))
    end)

    it("has that limit where wrap closes a thread that failed before", function()
      local levels, nest = 0, nil
      local closing = setmetatable({}, { __close = function() nest() end })
      function nest()
        levels = levels + 1
        local thread
        local wrapped = coro.wrap(load_closing [[
          local note = coro.yield
          note(coro.current())
          local a <close> = closing
          error "of the thread"
        ]])
        thread = wrapped(coro, closing)
        assert.is_false((coro.resume(thread)))
        wrapped()
      end
      local ok, err = pcall(nest)
      assert.is_false(ok)
      assert.matches("C stack overflow", err)
      assert.is_true(levels <= 200, tostring(levels))
    end)

    it("gives the error of a __close metamethod", function()
      local closing = setmetatable({}, { __close = function() error("in close", 0) end })
      local thread = coro.create(load_closing "local a <close> = closing; coro.yield()")
      coro.resume(thread, coro, closing)
      assert.are.same({ n = 2, false, "in close" }, pack(coro.close(thread)))
      assert.are.equal("dead", coro.status(thread))
      assert.are.same({ n = 1, true }, pack(coro.close(thread)))
    end)
  end

  -- A pinned thread whose message handler, called by closing, does what it is given.
  local survivors = 0
  local function create_with_handler(handler)
    local is_closing, creator = false, coro.current()
    local thread = coro.create(function()
      for _ = 1, 3 do
        xpcall(in_sort(function()
          if is_closing then return end
          coro.transfer(creator)
        end), function(err)
          is_closing = true
          handler(err)
        end)
      end
      survivors = survivors + 1
    end)
    coro.transfer(thread)
    return thread
  end

  it("is not continued by a transfer", function()
    local outcome, closer
    local other = coro.create(function()
      outcome = pack(pcall(coro.transfer, closer, "not from here"))
      coro.transfer(nil)
    end)
    local thread = create_with_handler(function() coro.transfer(other) end)
    local closed
    closer = coro.create(function()
      closed = pack(coro.close(thread))
      coro.transfer(nil)
    end)
    coro.transfer(closer)
    assert.is_false(outcome[1])
    assert.matches("cannot transfer to a coroutine that is closing another one", outcome[2])
    coro.transfer(thread)
    assert.are.same({ n = 1, true }, closed)
  end)

  it("of several threads at once unwinds each of them", function()
    local threads, closed, hook = {}, {}, (debug.gethook())
    for i = 1, 3 do
      threads[i] = create_with_handler(function() coro.transfer(nil, i) end)
    end
    for i, thread in ipairs(threads) do
      local at = coro.transfer(coro.create(function()
        closed[i] = pack(coro.close(thread))
        coro.transfer(nil, "closed " .. i)
      end))
      assert.are.equal(i, at)
    end
    survivors = 0
    for _, i in ipairs { 2, 1, 3 } do
      assert.are.equal("closed " .. i, coro.transfer(threads[i]))
      assert.are.equal(0, survivors)
      assert.are.same({ n = 1, true }, closed[i])
      assert.are.equal("dead", coro.status(threads[i]))
    end
    assert.are.equal(hook, (debug.gethook()))
  end)

  it("leaves nothing behind of a thread that is collected in the middle of it", function()
    local hook = debug.gethook()
    for _ = 1, 20 do
      local thread = create_with_handler(function() coro.transfer(nil, "handling") end)
      assert.are.equal("handling", coro.transfer(coro.create(function() coro.close(thread) end)))
    end
    fixture.collect()
    assert.are.equal(hook, (debug.gethook()))
    local pinned, threads = coro.stats().pinned, {}
    for i = 1, 20 do
      threads[i] = coro.create(function() return coro.yield() end)
      coro.resume(threads[i])
    end
    assert.are.equal(pinned, coro.stats().pinned)
    for i, thread in ipairs(threads) do
      assert.are.same({ n = 2, true, i }, pack(coro.resume(thread, i)))
    end
  end)

  it("leaves alone the debug hook that is set meanwhile", function()
    local thread = create_with_handler(function() coro.transfer(nil) end)
    local closer = coro.create(function()
      coro.close(thread)
      coro.transfer(nil)
    end)
    coro.transfer(closer)
    local hook = function() end
    debug.sethook(hook, "c")
    coro.transfer(thread)
    local now = debug.gethook()
    debug.sethook()
    assert.are.equal(hook, now)
  end)

  it("nests as deep as max_depth tells", function()
    local levels, failure = 0, nil
    local function close_one()
      levels = levels + 1
      if levels > 5000 then error "no limit" end
      local thread = create_with_handler(close_one)
      local ok, err = pcall(coro.close, thread)
      if not ok then failure = failure or err end
    end
    fixture.with_many_stacks(function()
      coro.wrap(close_one)()
      assert.matches("C stack overflow", failure)
      assert.is_true(levels <= coro.configure().max_depth + 1, tostring(levels))
    end)
  end)

  it("refuses to be left for the closer by a thread that it closes", function()
    local refused
    local thread = coro.create(function()
      xpcall(error, function() -- which is called with the error of closing, too
        refused = refused or pack(pcall(coro.transfer, nil))
        return pcall(coro.transfer, nil)
      end)
    end)
    coro.transfer(thread)
    refused = nil
    local results = pack(coro.close(thread))
    assert.is_true(results.n >= 1)
    assert.is_true(results[1])
    assert.are.equal("dead", coro.status(thread))
  end)
end)
