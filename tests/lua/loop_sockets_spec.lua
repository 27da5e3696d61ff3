-- Sockets of LuaSocket that wait in the loop: the methods, results and timeouts that they have.
local fixture = require "fixture"
local coro, pack = fixture.coro, fixture.pack
local loop, peers, socket = require "coro.loop", require "peers", require "socket"

-- Two ends of a connection, wrapped.
local function connected() return peers.connected(loop) end

-- Runs functions in threads, with two connected sockets, until nothing is left to do.
local function with_pair(...)
  local a, b = connected()
  for _, f in ipairs { ... } do loop.spawn(f, a, b) end
  loop.run()
  a:close()
  b:close()
end

describe("a wrapped TCP socket", function()
  fixture.leaves_nothing(before_each, after_each)

  it("has every method of the socket that it wraps", function()
    for _, made in ipairs { socket.tcp(), socket.udp(), require "socket.unix"() } do
      local wrapped = loop.wrap(made)
      for name, value in pairs(getmetatable(made).__index) do
        assert.are.equal(type(value), type(wrapped[name]), name)
      end
      assert.is_nil(wrapped.no_method_at_all)
      assert.is_true(loop.is_wrapped(wrapped))
      assert.is_true(loop.wrap(wrapped) == wrapped)
      wrapped:close()
    end
    assert.is_false(loop.is_wrapped "x")
    assert.has_error(function() loop.wrap {} end, "wrap: socket expected, got table")
  end)

  it("blames who calls a method for what is no such socket, as LuaSocket does", function()
    local wrapped = loop.tcp()
    for _, name in ipairs {
      "accept", "bind", "close", "connect", "getfd", "getpeername", "getstats", "gettimeout",
      "listen", "setfd", "setoption", "settimeout", "shutdown",
    } do
      for _, bad_self in ipairs { {}, "x", io.stdout } do
        local ok, err = pcall(function() wrapped[name](bad_self, 1) end)
        assert.is_false(ok)
        local wanted = ("^%%S*loop_sockets_spec.lua:%%d+: calling '%s' on bad self"):format(name)
        assert.matches(wanted, err)
      end
    end
    local _, err = pcall(function() wrapped.receive {} end)
    assert.matches("^%S*loop_sockets_spec.lua:%d+: bad argument #1 to 'receive'", err)
    wrapped:close()
  end)

  it("blames who calls a method with wrong arguments, as LuaSocket does", function()
    local function blamed(connection, fresh, unconnected, datagrams)
      local messages = {}
      for _, f in ipairs {
        function() connection:setoption("no option", true) end,
        function() connection:shutdown "no way" end,
        function() connection:bind {} end,
        function() connection:bind("127.0.0.1", {}) end,
        function() connection:connect({}, 80) end,
        function() connection:settimeout "long" end,
        function() connection:settimeout(1, "x") end,
        function() connection:receive "x" end,
        function() connection:receive(-1) end,
        function() connection:receive {} end,
        function() connection:receive(false) end,
        function() connection:receive(1, {}) end,
        function() connection:receive(nil, {}) end,
        function() connection:send(nil) end,
        function() connection:send(false) end,
        function() connection:send("text", "x") end,
        function() connection:send("text", 1, {}) end,
        function() fresh:send {} end,
        function() fresh:send(true) end,
        function() unconnected:send "text" end,
        function() unconnected:receive() end,
        function() datagrams:receive "x" end,
        function() datagrams:receivefrom {} end,
        function() datagrams:send(nil) end,
        function() datagrams:sendto("text", {}, 80) end,
      } do
        local ok, err = pcall(f)
        assert.is_false(ok)
        messages[#messages + 1] = err
      end
      return messages
    end
    local plain, plain_end = peers.connected(socket)
    local wrapped, wrapped_end = connected()
    wrapped:send "text"
    local plain_made, wrapped_made = socket.tcp(), loop.tcp()
    local plain_datagrams, wrapped_datagrams = socket.udp(), loop.udp()
    assert.are.same(blamed(plain, plain_end, plain_made, plain_datagrams),
      blamed(wrapped, wrapped_end, wrapped_made, wrapped_datagrams))
    for _, made in ipairs {
      plain, plain_end, plain_made, plain_datagrams,
      wrapped, wrapped_end, wrapped_made, wrapped_datagrams,
    } do
      made:close()
    end
  end)

  it("receives lines, blocks and everything, in as many pieces as they come in", function()
    local got = {}
    with_pair(function(a)
      got[1] = pack(a:receive())
      got[2] = pack(a:receive "*l")
      got[3] = pack(a:receive(4))
      got[4] = pack(a:receive("*l", "prefix "))
      got[5] = pack(a:receive(9, "of 9: "))
      got[6] = pack(a:receive "*a")
      got[7] = pack(a:receive "*a")
    end, function(_, b)
      for piece in ("on|e\r\nt|wo\nbl|ocklin|e\n|12|3ev|ery|thing"):gmatch "[^|]+" do
        b:send(piece)
        loop.sleep(0.001)
      end
      b:shutdown "send"
    end)
    local values = {}
    for i, result in ipairs(got) do values[i] = result[1] or false end
    assert.are.same(
      { "one", "two", "bloc", "prefix kline", "of 9: 123", "everything", false }, values)
  end)

  it("returns what it got so far when the time is over, and goes on with it", function()
    local got = {}
    with_pair(function(a)
      a:settimeout(0.02)
      got[1] = pack(a:receive())
      a:settimeout(nil)
      got[2] = pack(a:receive("*l", got[1][3]))
      a:settimeout(0)
      got[3] = pack(a:receive(5))
      got[4] = pack(a:gettimeout())
    end, function(_, b)
      b:send "begin"
      loop.sleep(0.05)
      b:send "-end\n"
    end)
    assert.are.same({ n = 3, nil, "timeout", "begin" }, got[1])
    assert.are.equal("begin-end", got[2][1])
    assert.are.same({ n = 3, nil, "timeout", "" }, got[3])
    assert.are.same({ n = 2, 0, -1 }, got[4])
  end)

  it("takes numbers for strings and strings for numbers, as LuaSocket does", function()
    local got = {}
    with_pair(function(a)
      assert.are.equal(1, a:settimeout("60"))
      got[1] = pack(a:receive("4", 7))
      assert.are.equal(1, a:settimeout("0.01", "t"))
      got[2] = pack(a:receive("*l", 7))
      got[3] = pack(a:gettimeout())
    end, function(_, b)
      loop.sleep(0.001)
      b:send "123456"
    end)
    assert.are.equal("7123", got[1][1])
    assert.are.same({ n = 3, nil, "timeout", "7456" }, got[2])
    assert.are.same({ n = 2, 60, 0.01 }, got[3])
  end)

  it("does not take for a timeout that it was asked for nonsense", function()
    with_pair(function(a)
      a:receive() -- which has to wait
      a:settimeout(0.01)
      local ok, err = pcall(a.receive, a, "*x")
      assert.is_false(ok)
      assert.truthy(err:find("invalid receive pattern", 1, true))
    end, function(_, b)
      loop.sleep(0.001)
      b:send "x\n"
    end)
  end)

  it("has one time for all waits of a call", function()
    for _, pattern in ipairs { "*l", "*a", 1000 } do
      local result
      with_pair(function(a)
        a:settimeout(0.2)
        result = pack(a:receive(pattern))
      end, function(_, b)
        for _ = 1, 5 do
          b:send "x"
          loop.sleep(0.06)
        end
        b:send "\n"
        b:close()
      end)
      assert.are.same({ nil, "timeout" }, { result[1], result[2] })
      assert.is_true(#result[3] > 0 and #result[3] < 5)
    end
  end)

  it("has one time for all waits of a line, also where it waits before it tries", function()
    local result
    with_pair(function(a)
      a:settimeout(0.25)
      assert.are.equal("first", a:receive())
      result = pack(a:receive())
    end, function(_, b)
      loop.sleep(0.001)
      b:send "first\n"
      loop.sleep(0.1)
      b:send "sec"
      loop.sleep(0.25)
      b:send "ond\n"
    end)
    assert.are.same({ n = 3, nil, "timeout", "sec" }, result)
  end)

  it("takes a timeout that is set while it waits from then on", function()
    local got = {}
    with_pair(function(a)
      got[1] = pack(a:receive())
      got[2] = pack(a:receive())
    end, function(a, b)
      loop.sleep(0.01)
      a:settimeout(0.1)
      b:send "part"
      loop.sleep(0.01)
      b:send " of it\nmore"
    end)
    assert.are.same({ { n = 3, "part of it" }, { n = 3, nil, "timeout", "more" } }, got)
  end)

  it("looks once where its whole time is 0", function()
    local server = assert(loop.bind("127.0.0.1", 0))
    local _, port = server:getsockname()
    local client = loop.tcp()
    client:settimeout(0, "t")
    assert.are.equal(1, client:connect("127.0.0.1", port))
    client:close()
    server:close()
  end)

  it("has a time for the whole call beside that for each wait", function()
    local result
    with_pair(function(a)
      a:settimeout(60)
      a:settimeout(0.03, "t")
      result = pack(a:receive(1000))
    end, function(_, b)
      for _ = 1, 5 do
        b:send "x"
        loop.sleep(0.01)
      end
    end)
    assert.are.equal("timeout", result[2])
    assert.is_true(#result[3] > 0 and #result[3] < 6)
    local a, b = connected()
    assert.has_error(function() a:settimeout(1, "x") end)
    a:close()
    b:close()
  end)

  it("sends more than the system takes at once, from any index on", function()
    local data = ("0123456789"):rep(1e6)
    local sent, got, partial
    with_pair(function(a)
      sent = pack(a:send(data, 11))
      a:settimeout(0.01)
      partial = pack(a:send(data))
      a:close()
    end, function(_, b)
      got = b:receive(#data - 10)
      loop.sleep(0.05)
    end)
    assert.are.equal(#data, sent[1])
    assert.is_true(got == data:sub(11))
    assert.are.same({ n = 3, nil, "timeout", partial[3] }, partial)
    assert.is_true(partial[3] > 0 and partial[3] < #data)
  end)

  it("ends the waits of others with 'closed' when it is closed", function()
    local got = {}
    local a, b = connected()
    loop.spawn(function() got[1] = pack(a:receive()) end)
    loop.spawn(function() got[2] = pack(loop.wait(a, "r")) end)
    loop.timeout(0, function()
      a:close()
      -- The same number again, for another one.
      local c, d = connected()
      d:send "x\n"
      got[3] = c:receive()
      c:close()
      d:close()
    end)
    loop.run()
    assert.are.same({ { n = 3, nil, "closed", "" }, { n = 2, nil, "closed" }, "x" }, got)
    b:close()
  end)

  it("can be waited for before a method of it has to wait", function()
    local log = {}
    with_pair(function(_, b)
      log.watcher = pack(loop.wait(b, "r", 60))
      log.received = b:receive()
    end, function(_, b)
      assert(b:send(("x"):rep(5e6)))
    end, function(a)
      loop.sleep(0.01)
      assert(a:receive(5e6))
      a:send "line\n"
    end)
    assert.are.same({ n = 2, true }, log.watcher)
    assert.are.equal("line", log.received)
  end)

  it("leaves others their turn while its peer is always ready", function()
    local turns, threads = 0, 2
    with_pair(function(a)
      a:receive()
      turns = 0
      for _ = 1, 1e4 do assert(a:receive()) end
      threads = threads - 1
    end, function(_, b)
      for _ = 1, 1e4 + 1 do assert(b:send "a line\n") end
      threads = threads - 1
    end, function()
      repeat
        turns = turns + 1
        loop.sleep(0)
      until threads == 0
    end)
    assert.is_true(turns > 10)
  end)

  it("leaves others their turn whatever is received and sent", function()
    local function turns_during(transfer)
      local turns, is_over = 0, false
      with_pair(function(a, b)
        transfer(a, b)
        is_over = true
      end, function()
        while not is_over do
          turns = turns + 1
          loop.sleep(0)
        end
      end)
      return turns
    end
    local function receive(a, b, ...)
      for _ = 1, 10 do
        b:send(("x"):rep(100))
        for _ = 1, 50 do assert.is_string(a:receive(...)) end
        for _ = 1, 50 do assert.is_string(a:receive(1)) end
      end
    end
    assert.is_true(turns_during(function(a, b) receive(a, b, 1) end) > 3)
    assert.is_true(turns_during(function(a, b) receive(a, b, "1") end) > 3)
    assert.is_true(turns_during(function(a, b) receive(a, b, 2, "y") end) > 3)
    local function send(a, b, ...)
      for _ = 1, 1000 do a:send(...) end
      a:close()
      return assert(b:receive "*a")
    end
    local sent
    assert.is_true(turns_during(function(a, b) sent = send(a, b, "xyz", -2, 2) end) > 3)
    assert.are.equal(("y"):rep(1000), sent)
  end)

  it("gives a thread its line also where main receives another one", function()
    local a, b = connected()
    for i = 1, 610 do -- some calls of main try after they have left others their turn
      local line
      if i % 3 == 0 then b:send "" end
      loop.spawn(function() line = a:receive() end)
      a:settimeout(nil)
      loop.timeout(0, function() b:send "x\nx\n" end)
      assert.are.equal("x", (a:receive()))
      loop.run()
      assert.are.equal("x", line)
    end
    a:close()
    b:close()
  end)

  it("is received from by the loop while others try to run it", function()
    local function transfer(disturb)
      local received = 0
      with_pair(function(a)
        for _ = 1, 20 do
          local data = a:receive(30000)
          received = received + #(data or "")
        end
      end, function(_, b)
        for _ = 1, 60 do
          b:send(("x"):rep(10000))
          disturb()
          loop.sleep(0)
        end
      end)
      return received
    end
    local is_inside
    debug.sethook(function()
      if is_inside or coro.current() then return end
      is_inside = true
      pcall(loop.step, 0)
      pcall(loop.sleep, 0)
      is_inside = false
    end, "c")
    local received = transfer(function() end)
    debug.sethook()
    assert.are.equal(600000, received)
    local function disturb()
      for _ = 1, 3 do
        fixture.with_finalizer(function() pcall(coro.current() and type or loop.sleep, 0) end)
      end
    end
    assert.are.equal(600000, transfer(disturb))
    fixture.collect()
    loop.run()
  end)

  it("is told where its frame was changed, when it was collected meanwhile", function()
    local raw, peer = peers.connected(socket)
    local outcome
    local thread = loop.spawn(function()
      local wrapped = loop.wrap(raw)
      outcome = pack(pcall(wrapped.receive, wrapped, 10))
    end)
    loop.step(0)
    peer:send "abc"
    loop.step(0.1)
    local level = 0
    while debug.getinfo(thread, level, "S") do
      for i = 1, 10 do
        local _, value = debug.getlocal(thread, level, i)
        local is_state = level == 0 and type(value) == "userdata" and i == 5
        if loop.is_wrapped(value) or is_state then debug.setlocal(thread, level, i, nil) end
      end
      level = level + 1
    end
    fixture.collect()
    peer:send "defghij"
    loop.run()
    raw:close()
    peer:close()
    assert.is_false(outcome[1])
    assert.matches("what the method waits for was changed", outcome[2])
  end)

  it("is closed for whoever waits for it, also if its methods never did", function()
    local outcome
    local made, peer = connected()
    local server = loop.bind("127.0.0.1", 0)
    for _, object in ipairs { made, server } do
      loop.spawn(function() outcome = pack(loop.wait(object, "r", 10)) end)
      loop.timeout(0, function() object:close() end)
      loop.run()
      assert.are.same({ n = 2, nil, "closed" }, outcome)
    end
    peer:close()
  end)

  it("may be received from at once while LuaSocket has something of it", function()
    local a, b = connected()
    b:send "1\n2\n"
    assert.are.equal("1", (a:receive()))
    assert.are.same({ n = 2, true, nil }, pack(loop.wait(a, "r", 0)))
    assert.are.equal("2", (a:receive()))
    assert.are.same({ n = 2, nil, "timeout" }, pack(loop.wait(a, "r", 0)))
    a:close()
    b:close()
  end)

  it("is no longer waited for by a call that is cancelled before it tries again", function()
    local received
    local a, b = connected()
    local c, d = connected()
    local thread = loop.spawn(function() received = pack(a:receive()) end)
    local has_waited
    loop.spawn(function()
      c:receive()
      has_waited = loop.cancel(thread)
    end)
    loop.step(0)
    d:send "first\n"
    b:send "a part"
    loop.run()
    assert.is_true(has_waited)
    assert.are.equal("cancelled", received[2])
    b:close()
    assert.are.equal("a part", received[3] .. select(3, a:receive()))
    for _, made in ipairs { a, c, d } do made:close() end

    local server = loop.bind("127.0.0.1", 0)
    local _, port = server:getsockname()
    local accepted
    local function cancel_other(other)
      accepted = server:accept()
      has_waited = loop.cancel(other())
    end
    local second, err
    loop.spawn(cancel_other, function() return second end)
    second = loop.spawn(function() err = select(2, server:accept()) end)
    loop.step(0)
    local client = socket.connect("127.0.0.1", port)
    loop.run()
    assert.is_true(has_waited)
    assert.are.equal("cancelled", err)
    for _, made in ipairs { server, client, accepted } do made:close() end
  end)

  it("leaves others their turn also if it never had to wait before", function()
    local got
    with_pair(function(a, b)
      local fresh_end, fresh = connected()
      fresh_end:send "first\n"
      loop.sleep(0)
      assert.are.equal("first", (fresh:receive()))
      -- So many calls, of which the last leaves others their turn.
      local function send_until_others_run()
        local calls, has_run = 0, false
        loop.spawn(function() has_run = true end)
        repeat
          a:send "x"
          calls = calls + 1
        until has_run
        return calls
      end
      send_until_others_run()
      local calls = send_until_others_run()
      for _ = 1, calls - 1 do a:send "x" end
      loop.timeout(0.001, function() fresh_end:send "second\n" end)
      got = fresh:receive()
      fresh:close()
      fresh_end:close()
      b:close()
    end)
    assert.are.equal("second", got)
  end)

  it("is ready for handlers, too, that are called while main waits", function()
    local a, b = connected()
    loop.spawn(function() b:receive() end) -- which has to wait: the next ones expect that
    loop.timeout(0, function() a:send "one\n" end)
    loop.run()
    local sent, got = 0, nil
    local function handler()
      for _ = 1, 1000 do sent = sent + a:send "x" end
      got = b:receive(1000)
    end
    loop.spawn_with(handler, function() error "x" end)
    assert.is_true(loop.sleep(0))
    assert.are.equal(1000, sent)
    assert.are.equal(("x"):rep(1000), got)
    a:close()
    b:close()
  end)

  it("waits in main, where handlers cannot run the loop then", function()
    local a, b = connected()
    local errs = {}
    for _, run in ipairs { loop.run, loop.step } do
      loop.spawn_with(function()
        errs[#errs + 1] = select(2, pcall(run))
        b:send "line\n"
      end, function() error "expected" end)
      assert.are.same({ n = 3, "line" }, pack(a:receive()))
    end
    assert.matches("run: main waits already, below this call", errs[1])
    assert.matches("step: main waits already, below this call", errs[2])
    a:close()
    b:close()
  end)

  it("is read for nobody who was continued meanwhile", function()
    local a, b = connected()
    local is_receive = {} -- of LuaSocket, before a socket is connected and after
    local made = socket.tcp()
    for _, luasocket in ipairs { made, a[1] } do
      is_receive[getmetatable(luasocket).__index.receive] = true
    end
    made:close()
    local is_armed, got
    local thread = loop.spawn(function()
      got = a:receive()
      coro.yield()
    end)
    loop.spawn(function()
      loop.sleep(0.001)
      is_armed = true
      b:send "part"
      loop.sleep(0.002)
    end)
    debug.sethook(coro.main, function()
      if not is_armed or not is_receive[debug.getinfo(2, "f").func] then return end
      is_armed = false
      coro.resume(thread, "continued")
    end, "c")
    loop.run()
    debug.sethook(coro.main)
    assert.are.equal("continued", got)
    a:close()
    b:close()
  end)

  it("is read by several threads, each of which gets what is left in the buffer", function()
    local got, rest = {}, {}
    with_pair(function(a) got[1] = a:receive() end, function(a, b)
      loop.sleep(0.001)
      b:send "x\ny\n"
      got[2] = a:receive("*l", "")
    end)
    table.sort(got)
    assert.are.same({ "x", "y" }, got)

    with_pair(function(a) rest[1] = a:receive "*a" end, function(a, b)
      loop.sleep(0.001)
      b:send "xx"
      loop.sleep(0.001)
      b:send "12345"
      local start = loop.now()
      repeat until loop.now() - start > 0.01
      rest[2] = a:receive(2, "p")
      b:close()
    end)
    assert.are.same({ "xx2345", "p1" }, rest)
  end)

  it("sends where its thread cannot wait, as long as it need not", function()
    local a, b = connected()
    local send = fixture.standard.wrap(function()
      for _ = 1, 1000 do assert(a:send "x") end
      return "sent"
    end)
    assert.are.equal("sent", send())
    a:close()
    b:close()
  end)

  it("is told that its peer has gone, in the middle of a line", function()
    local result
    with_pair(function(a) result = pack(a:receive()) end, function(_, b)
      b:send "half a li"
      b:close()
    end)
    assert.are.same({ n = 3, nil, "closed", "half a li" }, result)
  end)

  -- What receive("*a", prefix) gives, with pieces sent before the end, which `finish` makes.
  local function received_all(prefix, pieces, finish)
    local result
    with_pair(function(a) result = pack(a:receive("*a", prefix)) end, function(_, b)
      for _, piece in ipairs(pieces) do
        b:send(piece)
        loop.sleep(0.002)
      end
      finish(b)
    end)
    return result
  end

  it("tells the end of everything from a connection that is cut off", function()
    local function cut_off(b)
      b:setoption("linger", { on = true, timeout = 0 })
      b:close()
    end
    local function finish(b) b:close() end
    local function finish_sending(b) b:shutdown "send" end
    for _, ending in ipairs { finish, finish_sending } do
      assert.are.same({ n = 3, "all", nil, nil }, received_all(nil, { "a", "ll" }, ending))
      assert.are.same({ n = 3, "overall", nil, nil }, received_all("over", { "a", "ll" }, ending))
      assert.are.same({ n = 3, nil, "closed", "" }, received_all(nil, {}, ending))
      assert.are.same({ n = 3, nil, "closed", "over" }, received_all("over", {}, ending))
    end
    assert.are.same({ n = 3, nil, "closed", "part" }, received_all(nil, { "pa", "rt" }, cut_off))
    assert.are.same({ n = 3, nil, "closed", "a part" }, received_all("a ", { "part" }, cut_off))
    assert.are.same({ n = 3, nil, "closed", "" }, received_all(nil, {}, cut_off))
  end)

  it("knows the end of everything also after it has ended its own sending", function()
    local result
    with_pair(function(a)
      a:send "request"
      a:shutdown "send"
      result = pack(a:receive "*a")
    end, function(_, b)
      assert.are.equal("request", b:receive "*a")
      b:send "ans"
      loop.sleep(0.002)
      b:send "wer"
      loop.sleep(0.002)
      b:close()
    end)
    assert.are.same({ n = 3, "answer", nil, nil }, result)
  end)

  it("is closed for finalizers that run after it was collected", function()
    local server = assert(socket.bind("127.0.0.1", 0))
    local _, port = server:getsockname()
    local client = assert(socket.connect("127.0.0.1", port))
    local got
    local function collect()
      local raw = assert(server:accept())
      local box = {}
      -- Finalizers are called for the last object first.
      box[2] = fixture.with_finalizer(function() got = pack(box[1]:receive()) end)
      box[1] = loop.wrap(raw)
      box[1]:settimeout(0.01)
    end
    -- From deep below: 5.1 takes what a call left in the slots of its caller for alive.
    local function call(depth)
      if depth == 0 then collect() else call(depth - 1) end
      return nil
    end
    call(20)
    for _ = 1, 3 do collectgarbage() end
    if got then assert.are.same({ n = 3, nil, "closed", "" }, got) end
    client:close()
    server:close()
  end)

  it("is forgotten when it is collected, and its number used again", function()
    for _ = 1, 20 do
      with_pair(function(a) a:receive() end, function(_, b) b:send "x\n" end)
      do
        local c, d = connected()
        d:send "x\n"
        assert.are.equal("x", c:receive())
      end
      fixture.collect()
    end
  end)

  it("connects by name, and says what is wrong", function()
    local server = assert(loop.bind("127.0.0.1", 0))
    local _, port = server:getsockname()
    local client = assert(loop.connect("localhost", port))
    local _, peer_port = client:getpeername()
    assert.are.equal(tonumber(port), tonumber(peer_port))
    client:close()
    server:close()
    assert.are.same({ n = 2, nil, "connection refused" }, pack(loop.connect("127.0.0.1", port)))
    assert.are.same(pack(socket.connect("name.invalid", port)),
      pack(loop.connect("name.invalid", port)))
  end)

  -- Calls f while names are looked up to these addresses.
  local function with_addresses(addresses, f)
    local resolve = loop.resolve
    loop.resolve = function()
      local found = {}
      for i, addr in ipairs(addresses) do
        found[i] = { addr = addr, family = addr:find ":" and "inet6" or "inet", port = 0 }
      end
      return found
    end
    local ok, err = pcall(f)
    loop.resolve = resolve
    if not ok then error(err, 0) end
  end

  it("takes addresses of both families until it has one", function()
    local server6 = loop.bind("::1", 0)
    if not server6 then return pending "no IPv6" end
    local server4 = assert(loop.bind("127.0.0.1", 0))
    local _, port6 = server6:getsockname()
    local _, port4 = server4:getsockname()
    local closed = assert(loop.bind("127.0.0.1", 0))
    local _, closed_port = closed:getsockname()
    closed:close()
    local function check(made, result, err)
      made:close()
      assert.are.equal(1, result, err)
    end
    with_addresses({ "::1" }, function()
      local client = loop.tcp()
      check(client, client:connect("name", port6))
      assert(loop.connect("name", port6)):close()
      local bound = loop.tcp()
      check(bound, bound:bind("name", 0))
      local datagrams = loop.udp()
      check(datagrams, datagrams:setpeername("name", 9))
    end)
    local of_ipv4, of_ipv6 = loop.tcp4(), loop.tcp6()
    local unknown = pack(socket.tcp():connect("name.invalid", port6))
    with_addresses({ "::1" }, function()
      assert.are.same(unknown, pack(of_ipv4:connect("name", port6)))
    end)
    with_addresses({ "127.0.0.1" }, function()
      assert.are.same(unknown, pack(of_ipv6:connect("name", port4)))
    end)
    of_ipv4:close()
    of_ipv6:close()
    with_addresses({ "::1", "127.0.0.1" }, function()
      local client = loop.tcp()
      assert.are.same({ n = 2, nil, "connection refused" },
        pack(client:connect("name", closed_port)))
      assert.are.same({ n = 2, nil, "connection refused" },
        pack(client:connect("::1", closed_port)))
      check(client, client:connect("name", port4))
    end)
    with_addresses({ "127.0.0.1", "::1" }, function()
      local client = loop.tcp()
      client:settimeout(60)
      check(client, client:connect("name", port6))
    end)
    server4:close()
    server6:close()
  end)

  it("begins again after it has tried to connect in vain", function()
    local server, waiting = socket.tcp(), {} -- in its queue, which has no room for others then
    assert(server:bind("127.0.0.1", 0))
    assert(server:listen(0))
    local _, port = server:getsockname()
    for i = 1, 3 do
      waiting[i] = socket.tcp()
      waiting[i]:settimeout(0)
      waiting[i]:connect("127.0.0.1", port)
    end
    local free = assert(loop.bind("127.0.0.2", port))
    with_addresses({ "127.0.0.1", "127.0.0.2" }, function()
      local client = loop.tcp()
      client:settimeout(0.02)
      assert.are.same({ n = 1, 1 }, pack(client:connect("name", port)))
      assert.are.equal("127.0.0.2", (client:getpeername()))
      client:close()
      local thread, result
      thread = loop.spawn(function()
        client = loop.tcp()
        result = pack(client:connect("name", port))
      end)
      loop.step(0)
      loop.cancel(thread)
      loop.run()
      assert.are.same({ n = 2, nil, "cancelled" }, result)
      client:close()
    end)
    local client = loop.tcp()
    for _, expected in ipairs {
      { 0.01, "timeout" }, { 0.01, "timeout" }, { 0, "timeout" },
      { 0, "Operation already in progress" }, -- who does not wait here goes on with what has begun
    } do
      client:settimeout(expected[1])
      assert.are.same({ n = 2, nil, expected[2] }, pack(client:connect("127.0.0.1", port)))
    end
    for _, other in ipairs(waiting) do other:close() end
    client:close()
    server:close()
    free:close()
  end)

  it("connects to addresses of the family that is asked for", function()
    local server = assert(loop.bind("127.0.0.1", 0))
    local _, port = server:getsockname()
    with_addresses({ "::1", "127.0.0.1" }, function()
      for _, family in ipairs { "inet", "unspec" } do
        local client = assert(loop.connect("a name", port, nil, nil, family))
        assert.are.equal("inet4", client:getfamily())
        client:close()
      end
      assert.is_nil((loop.connect("a name", port, nil, nil, "inet6")))
    end)
    server:close()
    local ok, err = pcall(function() assert(loop.connect("a name", port, nil, nil, "x")) end)
    assert.is_false(ok)
    assert.are.equal("loop_sockets_spec.lua", err:match "^.*/(.-):%d")
    assert.matches("bad argument #5 to 'connect' %(invalid option 'x'%)", err)
  end)

  it("connects from an address of its own", function()
    local server = assert(loop.bind("127.0.0.1", 0))
    local _, port = server:getsockname()
    local client = assert(loop.connect("127.0.0.1", port, "127.0.0.2"))
    assert.are.equal("127.0.0.2", (client:getsockname()))
    client:close()
    server:close()
    local bound = assert(loop.tcp("127.0.0.1", 0))
    assert.are.equal("127.0.0.1", (bound:getsockname()))
    bound:close()
  end)
end)

describe("a server", function()
  fixture.leaves_nothing(before_each, after_each)

  it("handles each connection in a thread of its own, until it is closed", function()
    local server = assert(loop.newserver("127.0.0.1", 0, function(connection)
      for line in function() return connection:receive() end do
        assert(connection:send(line:upper() .. "\n"))
      end
      connection:close()
    end))
    local _, port = server:getsockname()
    local left, answers = 50, {}
    for i = 1, left do
      loop.spawn(function()
        local connection = assert(loop.connect("127.0.0.1", port))
        for j = 1, 3 do
          assert(connection:send(("line %d of %d\n"):format(j, i)))
          local answer = assert(connection:receive())
          answers[#answers + 1] = answer
        end
        connection:close()
        left = left - 1
        if left == 0 then server:close() end
      end)
    end
    loop.run()
    assert.are.equal(150, #answers)
    table.sort(answers)
    assert.are.equal("LINE 1 OF 1", answers[1])
  end)

  it("accepts as long as its timeout permits", function()
    local server = assert(loop.bind("127.0.0.1", 0))
    server:settimeout(0)
    assert.are.same({ n = 2, nil, "timeout" }, pack(server:accept()))
    server:settimeout(0.01)
    assert.are.same({ n = 2, nil, "timeout" }, pack(server:accept()))
    server:close()
  end)
end)

describe("a wrapped UDP socket", function()
  fixture.leaves_nothing(before_each, after_each)

  it("waits for datagrams", function()
    local a, b = loop.udp(), loop.udp()
    assert(a:setsockname("127.0.0.1", 0))
    local _, port = a:getsockname()
    local got = {}
    loop.spawn(function()
      got[1] = pack(a:receivefrom())
      got[2] = pack(a:receive())
      a:settimeout(0.01)
      got[3] = pack(a:receive())
    end)
    loop.timeout(0, function()
      assert(b:sendto("first", "127.0.0.1", port))
      assert(b:setpeername("localhost", port))
      assert(b:send "second")
    end)
    loop.run()
    assert.are.same({ "first", "127.0.0.1" }, { got[1][1], got[1][2] })
    assert.are.equal("second", got[2][1])
    assert.are.equal("timeout", got[3][2])
    a:close()
    b:close()
  end)

  it("returns as many values as LuaSocket does", function()
    local results = {}
    for i, library in ipairs { socket, loop } do
      local a, b = library.udp(), library.udp()
      a:setsockname("127.0.0.1", 0)
      local _, port = a:getsockname()
      a:settimeout(0.01)
      local counts = {}
      local function count(...) counts[#counts + 1] = select("#", ...) end
      count(a:receive())
      count(a:receivefrom())
      count(b:sendto("x", "127.0.0.1", port))
      count(a:receivefrom())
      count(b:setpeername("127.0.0.1", port))
      count(b:send "x")
      count(a:receive())
      a:close()
      b:close()
      count(b:send "x")
      results[i] = counts
    end
    assert.are.same(results[1], results[2])
  end)
end)

describe("a wrapped UNIX socket", function()
  fixture.leaves_nothing(before_each, after_each)

  it("connects, accepts, sends and receives", function()
    local unix = require "socket.unix"
    local path = os.tmpname()
    os.remove(path)
    local server = loop.wrap(assert(unix()))
    assert(server:bind(path))
    assert(server:listen(8))
    local answers = {}
    for i = 1, 4 do
      loop.spawn(function()
        local client = loop.wrap(assert(unix()))
        assert(client:connect(path))
        assert(client:send(i .. "\n"))
        local answer = client:receive()
        answers[#answers + 1] = answer
        client:close()
      end)
    end
    loop.spawn(function()
      for _ = 1, 4 do
        loop.sleep(0.01)
        local client = assert(server:accept())
        client:send("got " .. client:receive() .. "\n")
        client:close()
      end
      server:close()
    end)
    loop.run()
    os.remove(path)
    table.sort(answers)
    assert.are.same({ "got 1", "got 2", "got 3", "got 4" }, answers)
  end)
end)
