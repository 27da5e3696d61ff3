-- Copas: a scheduler of sockets that is written for the standard library. Debian has it for 5.1
-- (and with it LuaJIT) and 5.2.
local fixture = require "fixture"
if fixture.lua == "Lua 5.3" or fixture.lua == "Lua 5.4" then return end
local coro, pack, unpack = fixture.coro, fixture.pack, fixture.unpack
local guests = require "guests"
local socket = require "socket"

guests.each_order(function(order, load)
  describe("Copas, " .. order .. ",", function()
    local copas, over
    after_each(function()
      copas = nil
      guests.leave()
    end)
    fixture.leaves_nothing(before_each, after_each)
    before_each(function()
      local _
      _, copas = load("coxpcall", "copas")
      copas.autoclose = false -- it closes what its threads leave in another way than by a yield
      over = 0
    end)

    -- Serves connections with `handle(client)` and runs clients until all are over.
    local function serve(handle, clients)
      local server = assert(socket.bind("127.0.0.1", 0))
      local _, port = server:getsockname()
      copas.addserver(server, function(connection)
        handle(connection)
        connection:close()
      end, 0)
      for _, client in ipairs(clients) do
        copas.addthread(function()
          local connection = socket.tcp()
          assert(copas.connect(connection, "127.0.0.1", port))
          client(connection)
          connection:close()
          over = over + 1
        end)
      end
      while over < #clients do copas.step(1) end
      server:close()
    end

    -- A client that sends the lines, and what it got for each of them.
    local function asking(lines, answers)
      return function(connection)
        for i, line in ipairs(lines) do
          assert(copas.send(connection, line .. "\n"))
          answers[i] = copas.receive(connection)
        end
      end
    end

    it("runs its handlers and clients as ever", function()
      local answers = { {}, {}, {} }
      serve(function(connection)
        for line in function() return copas.receive(connection) end do
          assert(copas.send(connection, line:upper() .. "\n"))
        end
      end, {
        asking({ "a", "b", "c" }, answers[1]),
        asking({ "d" }, answers[2]),
        asking({ "e", "f" }, answers[3]),
      })
      assert.are.same({ { "A", "B", "C" }, { "D" }, { "E", "F" } }, answers)
    end)

    it("waits in functions that C calls", function()
      local answers = {}
      serve(function(connection)
        local template = copas.receive(connection)
        repeat
          -- Each name is asked for while gsub waits.
          local text = template:gsub("%$(%a+)", function(name)
            assert(copas.send(connection, name .. "?\n"))
            return (copas.receive(connection))
          end)
          assert(copas.send(connection, text .. "\n"))
          template = copas.receive(connection)
        until not template
      end, { asking({ "$x is $y", "one", "two" }, answers) })
      assert.are.same({ "x?", "y?", "one is two" }, answers)
    end)

    it("waits for generators, by a thread of its own for each wait", function()
      -- Calls a function of Copas that may yield, from wherever this is called.
      local function wait(f, ...)
        local me, arguments, waits, results = coro.current(), pack(...), false, nil
        copas.addthread(function()
          results = pack(f(unpack(arguments, 1, arguments.n)))
          if waits then coro.transfer(me) end
        end)
        waits = true
        if not results then coro.transfer(nil) end -- to Copas, which runs in main
        return unpack(results, 1, results.n)
      end
      local function words(connection)
        return coroutine.wrap(function()
          for line in function() return wait(copas.receive, connection) end do
            for word in line:gmatch "%a+" do coroutine.yield(word) end
            coroutine.yield "."
          end
        end)
      end
      local answers = { {}, {} }
      local server = assert(socket.bind("127.0.0.1", 0))
      local _, port = server:getsockname()
      local handlers = 0
      copas.addserver(server, function(connection)
        local text = ""
        for word in words(connection) do
          text = text .. "<" .. word .. ">"
          if word == "." then
            wait(copas.send, connection, text .. "\n")
            text = ""
          end
        end
        connection:close()
        handlers = handlers + 1
        coro.transfer(nil) -- who resumed it went on long ago
      end, 0)
      for i, lines in ipairs { { "a b", "c" }, { "d", "e f g" } } do
        copas.addthread(function()
          local connection = socket.tcp()
          assert(copas.connect(connection, "127.0.0.1", port))
          asking(lines, answers[i])(connection)
          connection:close()
        end)
      end
      while handlers < 2 do copas.step(1) end
      server:close()
      assert.are.same({ { "<a><b><.>", "<c><.>" }, { "<d><.>", "<e><f><g><.>" } }, answers)
    end)
  end)
end)

describe("coxpcall", function()
  after_each(guests.leave)

  it("finds that pcall can be left in coro's threads, on every version", function()
    coro.install()
    package.loaded.coxpcall = nil
    assert.are.equal(pcall, require "coxpcall".pcall)
  end)
end)
