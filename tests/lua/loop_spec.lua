-- The loop: threads that sleep, wait for descriptors, signals and each other; its ends and errors.
local fixture = require "fixture"
local coro, pack = fixture.coro, fixture.pack
local loop, peers, socket = require "coro.loop", require "peers", require "socket"

-- Two connected sockets of LuaSocket.
local function connected() return peers.connected(socket) end

-- Runs f in a thread until nothing is left to do; its results.
local function run(f, ...)
  local results
  loop.spawn(function(...) results = pack(f(...)) end, ...)
  loop.run()
  return assert(results, "the thread did not end")
end

-- What Linux says of a file descriptor, if it is open.
local function flags_of(fd)
  local file = io.open("/proc/self/fdinfo/" .. fd)
  if not file then return nil end
  local flags = file:read("*a"):match "flags:%s*(%d+)"
  file:close()
  return flags
end

-- The number that the next file gets.
local function lowest_free()
  local fd = 0
  while flags_of(fd) do fd = fd + 1 end
  return fd
end

describe("spawn and run", function()
  fixture.leaves_nothing(before_each, after_each)

  it("start threads with their arguments, in order, when the loop runs", function()
    local log = {}
    local first = loop.spawn(function(...)
      table.insert(log, pack(...))
      loop.spawn(function() table.insert(log, "third") end)
    end, 1, nil, nil)
    loop.spawn(function() table.insert(log, "second") end)
    assert.are.equal("thread", type(first))
    assert.are.equal("suspended", coro.status(first))
    assert.are.same({}, log)
    loop.run()
    assert.are.same({ { n = 3, 1 }, "second", "third" }, log)
    assert.are.equal("dead", coro.status(first))
  end)

  it("refuse at once what is no function, and blame who called them", function()
    for expected, f in pairs {
      ["spawn: function expected, got string"] = function() loop.spawn "x" end,
      ["spawn_with: handler expected, got string"] = function() loop.spawn_with("x", print) end,
      ["spawn_with: function expected, got nil"] = function() loop.spawn_with(print) end,
      ["timeout: number expected, got function"] = function() loop.timeout(print) end,
      ["timeout: function expected, got nil"] = function() loop.timeout "0" end,
      ["newserver: handler expected, got nil"] = function() loop.newserver("127.0.0.1", 0) end,
    } do
      local ok, err = pcall(f)
      assert.is_false(ok)
      assert.are.equal(expected, err:match "loop_spec.lua:%d+: (.*)$")
    end
    assert.is_false(loop.step(0))
  end)

  it("refuse threads to run in", function()
    local results = run(function() return pcall(loop.run) end)
    assert.is_false(results[1])
    assert.truthy(results[2]:find("run: the loop runs in main", 1, true))
  end)

  it("continue who waits in a generator, whose resumer stays who it is", function()
    local values = run(function()
      local got = {}
      for i in coro.wrap(function()
        for i = 1, 3 do
          loop.sleep(0)
          coro.yield(i)
        end
      end) do got[#got + 1] = i end
      return got
    end)
    assert.are.same({ n = 1, { 1, 2, 3 } }, values)
  end)

  it("let threads wait inside functions that C calls", function()
    local sorted = { 3, 1, 2 }
    run(function()
      table.sort(sorted, function(a, b)
        loop.sleep(0)
        return a < b
      end)
    end)
    assert.are.same({ 1, 2, 3 }, sorted)
  end)

  it("are left by stop and go on where they were", function()
    local log = {}
    loop.spawn(function()
      table.insert(log, "a")
      loop.stop()
      loop.sleep(0)
      table.insert(log, "b")
    end)
    loop.run()
    assert.are.same({ "a" }, log)
    loop.run()
    assert.are.same({ "a", "b" }, log)
  end)

  it("make a step: all that are ready, and no more", function()
    local count = 0
    loop.spawn(function()
      for _ = 1, 3 do
        count = count + 1
        loop.sleep(0)
      end
    end)
    assert.is_true(loop.step(0))
    assert.are.equal(1, count)
    repeat until not loop.step()
    assert.are.equal(3, count)
    assert.is_false(loop.step(0))
    local later = loop.timeout(60, print)
    assert.is_true(loop.step(0)) -- it begins to sleep
    assert.is_true(loop.step(0))
    loop.cancel(later)
    assert.is_false(loop.step(0))
  end)
end)

describe("a step", function()
  fixture.leaves_nothing(before_each, after_each)

  -- Hosts that have a loop of their own call it every now and then.
  for _, timeout in ipairs { 0, 1e-9, -1 } do
    it(("of %g s continues who is ready, and waits for nobody"):format(timeout), function()
      local a, b = peers.connected(loop)
      local log = {}
      loop.spawn(function()
        table.insert(log, (a:receive()))
        loop.sleep(0.005)
        table.insert(log, "timer")
      end)
      assert.is_true(loop.step(timeout))
      b:send "line\n"
      assert.is_true(loop.step(timeout))
      assert.are.same({ "line" }, log)
      local start = loop.now()
      repeat
        local goes_on = loop.step(timeout)
      until not goes_on or loop.now() - start > 10
      assert.are.same({ "line", "timer" }, log)
      a:close()
      b:close()
    end)
  end
end)

describe("the module", function()
  fixture.leaves_nothing(before_each, after_each)

  it("can be loaded again in one state, and each goes on alone", function()
    local a, b = peers.connected(loop)
    loop.spawn(function() assert.are.equal("x", a:receive()) end)
    loop.timeout(0, function() b:send "x\n" end)
    loop.run()
    package.loaded["coro.loop"] = nil
    local again = require "coro.loop"
    package.loaded["coro.loop"] = loop
    assert.is_true(again ~= loop)
    a, b = nil, nil -- luacheck: ignore
    fixture.collect()
    assert.is_true(again.sleep(0))
    assert.is_true(loop.sleep(0))
  end)
end)

describe("misuse", function()
  fixture.leaves_nothing(before_each, after_each)

  it("is told by the name of the function to whoever calls it", function()
    local opaque = setmetatable({}, { __index = error })
    for _, case in ipairs {
      { "sleep: number expected, got nil", "sleep" },
      { "step: number expected, got string", "step", "x" },
      { "wait: number expected, got table", "wait", 0, "r", {} },
      { "wait: 'r', 'w' or 'rw' expected", "wait", 0, "x" },
      { "wait: 'r', 'w' or 'rw' expected", "wait", 0 },
      { "wait: a file descriptor expected", "wait", -1, "r" },
      { "wait: descriptor or socket expected, got nil", "wait" },
      { "wait: descriptor or socket expected, got table", "wait", {} },
      { "wait: descriptor or socket expected, got table", "wait", opaque },
      { "wait: descriptor or socket expected, got table", "wait", { getfd = 1 } },
      { "wait: number from getfd expected, got nil", "wait", { getfd = function() end } },
      { "wait: number from getfd expected, got string", "wait", { getfd = tostring } },
      { "signal: name expected, got nil", "signal" },
      { "signal: number expected, got string", "signal", "USR1", "x" },
      { "signal: no signal to wait for is called 'NONE'", "signal", "NONE" },
      { "resolve: name expected, got nil", "resolve" },
      { "resolve: name expected, got table", "resolve", "localhost", {} },
      { "resolve: name expected, got boolean", "resolve", "localhost", false },
      { "resolve: no port has the number 65536", "resolve", "localhost", 65536 },
      { "resolve: no port has the number 0.5", "resolve", "localhost", 0.5 },
      { "cancel: thread expected, got string", "cancel", "x" },
    } do
      local refused = { pcall(loop[case[2]], case[3], case[4], case[5]) }
      local called = { pcall(function()
        local result = loop[case[2]](case[3], case[4], case[5])
        return result
      end) }
      for _, results in ipairs { refused, called } do
        assert.is_false(results[1], case[1])
        assert.truthy(results[2]:find "^%S*loop_spec.lua:%d+: ")
        assert.are.equal(case[1], (results[2]:gsub("^.-:%d+: ", "")))
      end
    end
  end)

  it("by who starts a thread that the loop was to start is told to the thread's resumer", function()
    local thread = loop.spawn(print)
    local ok, err = coro.resume(thread, 1)
    assert.is_false(ok)
    assert.are.equal("the thread was to be started by the loop", err)
    loop.run()
  end)
end)

describe("sleep and timeout", function()
  fixture.leaves_nothing(before_each, after_each)

  it("continue who waits for less before who waits for more, and not early", function()
    local log = {}
    local start = loop.now()
    local later = loop.spawn(function() table.insert(log, pack(loop.sleep(600))) end)
    for _, time in ipairs { 0.02, 0, 0.01 } do
      loop.spawn(function()
        assert.is_true(loop.sleep(time))
        assert.is_true(loop.now() - start >= time)
        table.insert(log, "slept")
        if #log == 3 then loop.cancel(later) end
      end)
    end
    loop.run()
    assert.are.same({ "slept", "slept", "slept", { n = 2, nil, "cancelled" } }, log)
  end)

  it("call a function later, unless it is cancelled", function()
    local log = {}
    loop.timeout(0.01, function(...) table.insert(log, pack(...)) end, "a", nil)
    local other = loop.timeout(60, function() table.insert(log, "never") end)
    loop.timeout(0, function() assert.is_true(loop.cancel(other)) end)
    loop.run()
    assert.are.same({ { n = 2, "a" } }, log)
    assert.are.equal("dead", coro.status(other))
  end)

  it("cancel a timeout in the turn that made it, once", function()
    local function never() error "it was cancelled" end
    local outside, closed = loop.timeout(0, never), loop.timeout(0, never)
    assert.is_true(loop.cancel(outside))
    assert.is_false(loop.cancel(outside))
    coro.close(closed)
    assert.is_false(loop.cancel(closed))
    loop.spawn(function()
      assert.is_true(loop.cancel(loop.timeout(0, never)))
      local sleeping
      sleeping = loop.timeout(0, function()
        assert.are.same({ n = 2, nil, "cancelled" }, pack(loop.sleep(600)))
      end)
      loop.sleep(0.01)
      assert.is_true(loop.cancel(sleeping))
    end)
    loop.run()
    assert.is_false(loop.step(0))
  end)

  it("take the time of a timeout from the call on", function()
    local called = false
    loop.timeout(0.05, function() called = true end)
    socket.sleep(0.05)
    loop.step(0.001)
    assert.is_true(called)
    loop.run()
  end)

  it("let nobody starve where others are always ready", function()
    local over, turns = false, 0
    local function spawn_another()
      turns = turns + 1
      assert(turns < 1e5, "the timer never had its turn")
      if not over then loop.spawn(spawn_another) end
    end
    loop.spawn(spawn_another)
    loop.timeout(0, function() over = true end)
    loop.run()
    assert.is_true(over)
  end)
end)

describe("wait", function()
  fixture.leaves_nothing(before_each, after_each)

  it("waits for a descriptor, or an object that has one", function()
    local a, b = connected()
    local log = {}
    loop.spawn(function()
      table.insert(log, pack(loop.wait(a, "r")))
      table.insert(log, (a:receive()))
    end)
    loop.spawn(function()
      table.insert(log, pack(loop.wait(b:getfd(), "w")))
      table.insert(log, pack(loop.wait(a, "rw")))
      b:send "x\n"
    end)
    loop.run()
    assert.are.same({ { n = 2, true }, { n = 2, true }, { n = 2, true }, "x" }, log)
    a:close()
    b:close()
  end)

  it("ends in time, as the first of all that may end it, and only once", function()
    local a, b = connected()
    assert.are.same({ n = 3, nil, "timeout", "again" }, run(function()
      local result, err = loop.wait(a, "r", 0.005)
      loop.timeout(0.02, function() b:send "x" end) -- ends no wait but the next
      loop.sleep(0.01)
      assert.is_true(loop.wait(a, "r", 60))
      assert.are.equal("x", a:receive(1))
      loop.sleep(0)
      return result, err, "again"
    end))
    a:close()
    b:close()
  end)

  it("continues all who wait for the same", function()
    local a, b = connected()
    local count = 0
    for _ = 1, 3 do
      loop.spawn(function()
        loop.wait(a, "r")
        count = count + 1
      end)
    end
    loop.timeout(0, function() b:send "x" end)
    loop.run()
    assert.are.equal(3, count)
    a:close()
    b:close()
  end)

  it("is refused where there is nobody to leave for", function()
    local function blamed(f)
      local ok, err = pcall(fixture.standard.wrap(f))
      assert.is_false(ok)
      return err
    end
    local text = "loop_spec.lua:%d+: attempt to wait outside a coroutine that coro runs"
    assert.matches(text, blamed(function() return loop.sleep(1), "no tail call" end))
    assert.matches(text, blamed(function() return loop.wait(0, "r"), "no tail call" end))
    assert.is_false(loop.step(0))
  end)

  it("is not lost to whoever cannot be continued now", function()
    local settings = coro.configure { warm_stacks = 0 }
    local done = {}
    local plain = loop.spawn(function() done.plain = loop.sleep(0.002) end)
    loop.step(0)
    local limit = coro.stats().mounted + 3
    coro.configure { max_stacks = limit }
    for i = 1, limit do
      loop.spawn(function()
        table.sort({ 2, 1 }, function(a, b)
          done[i] = loop.sleep(0.02)
          return a < b
        end)
      end)
    end
    local failures = 0
    while true do
      local ok, err = pcall(loop.run)
      if ok then break end
      assert.matches("too many C stacks", err)
      failures = failures + 1
      coro.configure { max_stacks = limit + 10 }
    end
    coro.configure(settings)
    assert.is_true(failures > 0)
    assert.is_true(done.plain)
    assert.are.equal("dead", coro.status(plain))
  end)

  it("is told what cannot be waited for", function()
    local closed = socket.udp()
    closed:close()
    local results = run(function()
      return pack(loop.wait(1e6, "r", 60)), pack(loop.wait(closed, "r")),
        pack(loop.wait(loop.wrap(closed), "w"))
    end)
    assert.are.same({ n = 2, nil, "Bad file descriptor" }, results[1])
    assert.are.same({ n = 2, nil, "closed" }, results[2])
    assert.are.same({ n = 2, nil, "closed" }, results[3])
    assert.truthy(select(2, pcall(loop.wait, 0, "x")):find("'r', 'w' or 'rw' expected", 1, true))
    for _, number in ipairs { -1, -0.5, 1.5, 2 ^ 31, 2 ^ 40, 1 / 0, 0 / 0 } do
      local ok, err = pcall(loop.wait, number, "r")
      assert.is_false(ok)
      assert.truthy(err:find("a file descriptor expected", 1, true))
    end
  end)

  it("takes no memory for numbers that no descriptor has", function()
    local output = fixture.run [[
      local loop = require "coro.loop"
      local function peak()
        for line in io.lines "/proc/self/status" do
          local kilobytes = line:match "^VmPeak:%s*(%d+)"
          if kilobytes then return tonumber(kilobytes) end
        end
      end
      local before = peak()
      for _, number in ipairs { 1e6, 2e8, 2 ^ 31 - 1 } do print(loop.wait(number, "r")) end
      print(peak() - before < 1e5)
    ]]
    assert.truthy(output:find(("nil\tBad file descriptor\n"):rep(3) .. "true\n", 1, true), output)
  end)

  it("is over at once for files, which are always ready", function()
    local fd = lowest_free()
    for _, name in ipairs { arg[0], "/dev/null" } do
      local file = assert(io.open(name))
      assert.are.same({ n = 2, true }, run(loop.wait, fd, "r", 60))
      assert.are.same({ n = 2, true }, run(loop.wait, fd, "rw", 0))
      file:close()
    end
  end)

  it("leaves a descriptor blocking that was", function()
    local fd = lowest_free()
    local pipe = io.popen "sleep 0.05; echo line"
    local before = flags_of(fd)
    assert.are.same({ n = 2, nil, "timeout" }, run(loop.wait, fd, "r", 0.001))
    assert.are.equal(before, flags_of(fd))
    assert.are.same({ n = 2, true }, run(loop.wait, fd, "r"))
    assert.are.equal(before, flags_of(fd))
    assert.are.equal("line", pipe:read())
    pipe:close()
  end)

  it("is told that its descriptor was closed when the number is used again", function()
    local function receiver()
      local made = socket.udp()
      assert(made:setsockname("127.0.0.1", 0))
      return made, select(2, made:getsockname())
    end
    local a = receiver()
    local fd = a:getfd()
    local log = {}
    loop.spawn(function() log.old = pack(loop.wait(fd, "r", 60)) end)
    loop.step(0)
    a:close()
    local b, port = receiver()
    assert.are.equal(fd, b:getfd())
    loop.spawn(function() log.new = pack(loop.wait(b, "r", 60)) end)
    loop.timeout(0, function() socket.udp():sendto("x", "127.0.0.1", port) end)
    loop.run()
    assert.are.same({ n = 2, nil, "closed" }, log.old)
    assert.are.same({ n = 1, true }, { n = 1, log.new[1] })
    b:close()
  end)

  it("is cancelled by other threads", function()
    local a, b = connected()
    local thread, result
    thread = loop.spawn(function() result = pack(loop.wait(a, "r")) end)
    loop.spawn(function()
      assert.is_true(loop.cancel(thread))
      assert.is_false(loop.cancel(thread))
      assert.is_false(loop.cancel(coro.current()))
    end)
    loop.run()
    assert.are.same({ n = 2, nil, "cancelled" }, result)
    a:close()
    b:close()
  end)

  it("is over at once for a thread that is cancelled and closed", function()
    local thread = loop.spawn(function() loop.sleep(600) end)
    assert.is_true(loop.step(0))
    assert.is_true(loop.cancel(thread))
    coro.close(thread)
    loop.run()
    assert.are.equal("dead", coro.status(thread))
  end)

  it("is over for a thread that dies in it", function()
    local thread = loop.spawn(function() loop.sleep(0.01) end)
    assert.is_true(loop.step(0))
    assert.has_error(function() coro.throw(thread, "thrown") end, "thrown")
    loop.run()
    assert.are.equal("dead", coro.status(thread))
  end)

  it("works for more descriptors than select can", function()
    local listing = io.popen "ulimit -n"
    local limit = listing:read "*a"
    listing:close()
    if limit:find "%d" and tonumber(limit) < 3000 then return pending "ulimit -n is too low" end
    local pairs_of, count = {}, 0
    for i = 1, 1100 do pairs_of[i] = pack(connected()) end
    for _, pair in ipairs(pairs_of) do
      loop.spawn(function()
        assert.is_true(loop.wait(pair[1], "r"))
        count = count + 1
      end)
    end
    loop.timeout(0, function() for _, pair in ipairs(pairs_of) do pair[2]:send "x" end end)
    loop.run()
    assert.are.equal(1100, count)
    for _, pair in ipairs(pairs_of) do
      pair[1]:close()
      pair[2]:close()
    end
  end)
end)

describe("suspend and resume", function()
  fixture.leaves_nothing(before_each, after_each)

  it("pass values, of whatever number", function()
    local got = {}
    local thread = loop.spawn(function()
      for i = 1, 3 do got[i] = pack(loop.suspend()) end
    end)
    loop.spawn(function()
      loop.resume(thread)
      loop.sleep(0)
      loop.resume(thread, nil, 2, nil)
      loop.sleep(0)
      loop.resume(thread, fixture.unpack({}, 1, 100))
    end)
    loop.run()
    assert.are.same({ { n = 0 }, { n = 3, nil, 2 }, { n = 100 } }, got)
  end)

  it("lose no thread that cannot be given so many values", function()
    local got
    local function wait_for_many() got = pack(pcall(loop.suspend)) end
    local values, many = {}, _VERSION == "Lua 5.1" and 7990 or 400000
    for i = 1, many do values[i] = i end
    local thread = loop.spawn(wait_for_many)
    loop.step(0)
    if pcall(loop.resume, thread, fixture.unpack(values, 1, many)) then
      loop.run()
      if not got[1] then assert.matches("too many values to transfer", got[2]) end
    else
      loop.resume(thread)
      loop.run()
      assert.are.same({ n = 1, true }, got)
    end
    assert.are.equal("dead", coro.status(thread))

    local errors = {}
    local function note(err) table.insert(errors, err) end
    if pcall(loop.spawn_with, note, wait_for_many, fixture.unpack(values, 1, many)) then
      loop.run()
      for _, err in ipairs(errors) do assert.matches("too many values", err) end
    end
  end)

  it("hold few threads that were closed there", function()
    local threads = setmetatable({}, { __mode = "k" })
    for _ = 1, 2500 do
      local thread = loop.spawn(loop.suspend)
      threads[thread] = true
      loop.step(0)
      coro.close(thread)
    end
    collectgarbage()
    collectgarbage()
    local held = 0
    for _ in pairs(threads) do held = held + 1 end
    assert.is_true(held <= 1010, held)
    loop.run()
  end)

  it("refuse a thread that does not wait there", function()
    local thread = loop.spawn(function() loop.sleep(0) end)
    assert.has_error(function() loop.resume(thread) end,
      "resume: the thread does not wait in suspend")
    loop.run()
  end)

  it("are over for a thread that others close, throw into or transfer to", function()
    local function refuses(thread)
      assert.has_error(function() loop.resume(thread, "lost") end,
        "resume: the thread does not wait in suspend")
    end
    local log = {}
    local function suspend_thrice()
      for _ = 1, 3 do table.insert(log, pack(pcall(loop.suspend))) end
    end
    local closed, thread = loop.spawn(loop.suspend), loop.spawn(suspend_thrice)
    loop.step(0)
    coro.close(closed)
    refuses(closed)
    coro.throw(thread, "thrown")
    coro.transfer(thread, "transferred", nil)
    loop.resume(thread, "resumed")
    loop.run()
    assert.are.same({
      { n = 2, false, "thrown" },
      { n = 3, true, "transferred" },
      { n = 2, true, "resumed" },
    }, log)
    refuses(thread)
    local elsewhere = loop.spawn(function()
      loop.suspend()
      loop.sleep(0)
    end)
    loop.step(0)
    coro.transfer(elsewhere)
    refuses(elsewhere)
    loop.run()
    coro.close(loop.spawn(loop.suspend))
    closed = loop.spawn(loop.suspend)
    loop.step(0)
    coro.close(closed)
    loop.run() -- and reports no deadlock
  end)
end)

describe("signal", function()
  fixture.leaves_nothing(before_each, after_each)

  -- To ourselves.
  local function send()
    local file = assert(io.open "/proc/self/stat")
    local pid = file:read "*n"
    file:close()
    os.execute("kill -USR1 " .. ("%d"):format(pid))
  end

  it("waits for the signal, and does not lose one between two waits", function()
    local results = run(function()
      loop.timeout(0, send)
      local first = loop.signal "USR1"
      send()
      local second = loop.signal "SIGUSR1"
      return first, second, pcall(loop.signal, "NONE")
    end)
    assert.are.same({ true, true, false }, { results[1], results[2], results[3] })
    assert.truthy(results[4]:find("no signal to wait for is called 'NONE'", 1, true))
    assert.are.same({ n = 2, nil, "timeout" }, run(loop.signal, "USR1", 0))
  end)

  it("is not lost to a wait that has ended", function()
    local count = 0
    run(function()
      assert(not loop.signal("USR1", 0))
      send()
      for _ = 1, 2 do loop.sleep(0.001) end -- the loop sees it, in a turn before the last
      for _ = 1, 2 do
        loop.spawn(function() if loop.signal("USR1", 0.01) then count = count + 1 end end)
      end
    end)
    assert.are.equal(1, count)
  end)
end)

describe("resolve", function()
  fixture.leaves_nothing(before_each, after_each)

  it("gives addresses, while others go on", function()
    local ticks = 0
    local results = run(function()
      local ticking = true
      loop.spawn(function()
        while ticking do
          loop.sleep(0)
          ticks = ticks + 1
        end
      end)
      local found, err = loop.resolve("127.0.0.1", 80)
      local other, why = loop.resolve "name.invalid"
      ticking = false
      return found, err, other, why
    end)
    assert.are.same({ { addr = "127.0.0.1", family = "inet", port = 80 } }, results[1])
    assert.are.equal("80", tostring(results[1][1].port)) -- an integer where there are integers
    assert.is_nil(results[3])
    assert.are.equal("string", type(results[4]))
    assert.is_true(ticks > 0)
  end)

  it("says what is wrong as LuaSocket does", function()
    for _, unknown in ipairs { { "name.invalid" }, { "127.0.0.1", "no_such_service" } } do
      local host, port = fixture.unpack(unknown)
      assert.are.same(pack(socket.tcp():connect(host, port or 1)), run(loop.resolve, host, port))
    end
  end)
end)

describe("errors in threads", function()
  fixture.leaves_nothing(before_each, after_each)

  it("go to no handler of another thread that failed in the same place before", function()
    local handled, resumed
    local function fail(err)
      loop.suspend()
      error(err, 0)
    end
    local first = loop.spawn_with(function(err) handled = err end, fail, "first")
    local second = loop.spawn(fail, "second")
    loop.step(0)
    loop.spawn(function()
      resumed = pack(coro.resume(first)) -- who resumed it gets the error
      loop.resume(second)
    end)
    local ok, err = pcall(loop.run)
    assert.are.equal("first", resumed[2])
    assert.is_false(ok)
    assert.matches("^second\n", err)
    assert.is_nil(handled)
  end)

  it("for want of C stacks leave run, which lets others go on when it is called again", function()
    local before = coro.configure()
    local in_use = coro.stats().stacks_in_use
    coro.configure { max_stacks = in_use + 2, warm_stacks = 0 }
    -- Unmounted while it sleeps, where that is possible; the others take what stacks there are.
    local thread = loop.spawn(function() loop.sleep(0.02) end)
    for _ = 1, 2 do
      loop.spawn(function()
        table.sort({ 1, 2 }, function(x, y)
          loop.sleep(0.04)
          return x < y
        end)
      end)
    end
    local runs = 0
    local is_done
    repeat
      local ok, err = pcall(loop.run)
      if not ok then
        assert.matches("too many C stacks", err)
        socket.sleep(0.005)
      end
      runs, is_done = runs + 1, ok
    until is_done or runs > 1000
    coro.configure(before)
    assert.is_true(is_done)
    assert.are.equal("dead", coro.status(thread))
  end)

  local function fail_deep() error "broken" end

  it("leave run with the thread's traceback, and run can be called again", function()
    local log = {}
    loop.spawn(function()
      loop.sleep(0)
      fail_deep()
    end)
    loop.spawn(function()
      loop.sleep(0)
      loop.sleep(0.01)
      table.insert(log, "went on")
    end)
    local ok, err = pcall(loop.run)
    assert.is_false(ok)
    assert.truthy(err:find "loop_spec.lua:%d+: broken\nstack traceback:")
    assert.truthy(err:find "fail_deep")
    loop.run()
    assert.are.same({ "went on" }, log)
  end)

  it("leave it as they are, if they are no strings", function()
    local value = {}
    loop.spawn(function() error(value) end)
    local ok, err = pcall(loop.run)
    assert.is_false(ok)
    assert.is_true(err == value)
  end)

  it("go to the handler of spawn_with, also from within a generator", function()
    local got = {}
    local function handler(err, traceback, thread)
      local has_trace = traceback:find "stack traceback" ~= nil
      table.insert(got, { err, has_trace, coro.status(thread), thread })
    end
    local direct = loop.spawn_with(handler, function(a) error(a, 0) end, "a")
    local after_wait = loop.spawn_with(handler, function()
      for _ in coro.wrap(function()
        loop.sleep(0)
        coro.yield(1)
      end) do error("b", 0) end
    end)
    local fine = loop.spawn_with(handler, function() loop.sleep(0) end)
    loop.run()
    assert.are.same({ { "a", true, "dead", direct }, { "b", true, "dead", after_wait } }, got)
    assert.are.equal("dead", coro.status(fine))
  end)

  it("go to no handler of a thread that was closed, or failed before others", function()
    local got = {}
    local function handler(err) table.insert(got, err) end
    local closed = loop.spawn_with(handler, function() loop.sleep(600) end)
    local resumed = loop.spawn_with(handler, function()
      loop.sleep(600)
      error("to its resumer", 0)
    end)
    loop.step(0)
    loop.cancel(closed)
    coro.close(closed)
    loop.cancel(resumed)
    coro.resume(resumed)
    loop.spawn(function() error("unrelated", 0) end)
    local ok, err = pcall(loop.run)
    assert.is_false(ok)
    assert.truthy(err:find "^unrelated\n")
    assert.are.same({}, got)
    local other = loop.spawn_with(handler, function()
      loop.sleep(600)
      error("its own", 0)
    end)
    loop.step(0)
    loop.spawn(function() coro.transfer(other) end)
    loop.cancel(other)
    loop.run()
    assert.are.same({ "its own" }, got)
  end)

  it("leave run from within the handler, too", function()
    loop.spawn_with(function(err) error(err .. ", handled", 0) end, function() error("x", 0) end)
    assert.are.same({ false, "x, handled" }, { pcall(loop.run) })
    loop.run()
  end)

  it("can be thrown into a thread that waits; what it waited for is over", function()
    local a, b = connected()
    local log = {}
    local generator = coro.create(function()
      table.insert(log, pack(pcall(loop.wait, a, "r")))
      table.insert(log, pack(coro.yield "caught"))
    end)
    loop.spawn(function()
      table.insert(log, pack(coro.resume(generator)))
      b:send "x" -- what the generator waited for, before
      loop.sleep(0.01)
      table.insert(log, pack(coro.resume(generator, "of its resumer")))
    end)
    loop.step(0)
    coro.throw(generator, "thrown")
    loop.run()
    assert.are.same({
      { n = 2, false, "thrown" },
      { n = 2, true, "caught" },
      { n = 1, "of its resumer" },
      { n = 1, true },
    }, log)
    a:close()
    b:close()
  end)
end)

describe("a deadlock", function()
  fixture.leaves_nothing(before_each, after_each)

  it("is reported with the traceback of each thread that waits", function()
    local function here_it_waits() loop.suspend() return 1 end
    local a = loop.spawn(function() return 1, here_it_waits() end)
    local b = loop.spawn(function() return 1, here_it_waits() end)
    local ok, err = pcall(loop.run)
    assert.is_false(ok)
    assert.truthy(err:find("deadlock: 2 threads wait for what cannot happen\n", 1, true))
    assert.are.equal(2, select(2, err:gsub("here_it_waits", "")))
    assert.truthy(err:find(tostring(a), 1, true))
    loop.resume(a)
    loop.resume(b)
    loop.run()
  end)
end)

describe("main", function()
  fixture.leaves_nothing(before_each, after_each)

  it("waits by running the loop", function()
    local log = {}
    local main = coro.main
    loop.spawn(function()
      table.insert(log, "thread")
      loop.sleep(0.01)
      table.insert(log, "thread again")
      loop.resume(main, 1, nil)
    end)
    assert.is_true(loop.sleep(0))
    assert.are.same({ "thread" }, log)
    assert.are.same({ n = 2, 1 }, pack(loop.suspend()))
    assert.are.same({ "thread", "thread again" }, log)
    loop.run()
  end)

  it("is cancelled in what it waits in", function()
    local main, log = coro.main, {}
    local function cancel()
      table.insert(log, pack(loop.cancel(main), loop.cancel(main)))
      table.insert(log, (pcall(loop.resume, main, "lost")))
    end
    for _, wait in ipairs { loop.suspend, function() return loop.sleep(600) end } do
      loop.spawn(cancel)
      assert.are.same({ n = 2, nil, "cancelled" }, pack(wait()))
    end
    local once = { n = 2, true, false }
    assert.are.same({ once, false, once, false }, log)
    assert.is_false(loop.cancel(main))
    loop.spawn(function() assert.is_false(loop.cancel(main)) end)
    loop.run()
  end)

  it("waits once: handlers that it calls there are refused, and change nothing", function()
    local refused
    local function handler()
      refused = pack(pcall(function() loop.suspend() end))
      loop.resume(coro.main, "resumed")
    end
    loop.spawn_with(handler, function() error "x" end)
    assert.are.same({ n = 1, "resumed" }, pack(loop.suspend()))
    assert.is_false(refused[1])
    assert.matches("loop_spec%.lua:%d+: main waits already, below this call", refused[2])
  end)

  it("gets the errors of threads there", function()
    loop.spawn(function() error("broken", 0) end)
    local ok, err = pcall(loop.sleep, 60)
    assert.is_false(ok)
    assert.truthy(err:find "^broken\nstack traceback")
    assert.is_true(loop.sleep(0))
    local _, report = pcall(loop.suspend)
    assert.truthy(report:find("1 thread waits", 1, true))
    loop.run()
  end)
end)
