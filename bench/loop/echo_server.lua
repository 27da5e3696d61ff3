-- Echoes lines until a number of connections have come and gone, then prints a line of JSON: the
-- server's processor time in seconds.
--   <lua> echo_server.lua MODULE_FOLDER LIBRARY CONNECTIONS
-- The first line that it prints is its port. LIBRARY: coro, cqueues, copas, luv (plain callbacks).
local modules, library, connections = arg[1], arg[2], tonumber(arg[3])
package.cpath = modules .. "/?.so;" .. package.cpath

local left = connections

local function announce(port)
  print(("%d"):format(port))
  io.stdout:flush()
end

local servers = {}

function servers.coro()
  local loop = require "coro.loop"
  local server
  server = assert(loop.newserver("127.0.0.1", 0, function(connection)
    while true do
      local line = connection:receive()
      if not line then break end
      connection:send(line .. "\n")
    end
    connection:close()
    left = left - 1
    if left == 0 then server:close() end
  end))
  local _, port = server:getsockname()
  announce(port)
  loop.run()
end

function servers.luv()
  local uv = require "luv"
  local server = uv.new_tcp()
  assert(server:bind("127.0.0.1", 0))
  assert(server:listen(1024, function()
    local connection = uv.new_tcp()
    server:accept(connection)
    local rest = ""
    connection:read_start(function(_, chunk)
      if not chunk then
        connection:close()
        left = left - 1
        if left == 0 then server:close() end
        return
      end
      rest = rest .. chunk
      while true do
        local last = rest:find("\n", 1, true)
        if not last then break end
        local line = rest:sub(1, last - 1)
        rest = rest:sub(last + 1)
        connection:write(line .. "\n")
      end
    end)
  end))
  announce(server:getsockname().port)
  uv.run()
end

function servers.cqueues()
  local cqueues, socket = require "cqueues", require "cqueues.socket"
  local loop = cqueues.new()
  local server = assert(socket.listen { host = "127.0.0.1", port = 0 })
  assert(server:listen())
  local _, _, port = server:localname()
  announce(port)
  loop:wrap(function()
    for _ = 1, connections do
      local connection = server:accept()
      connection:setmode("b", "bn")
      loop:wrap(function()
        for line in connection:lines "*l" do connection:write(line, "\n") end
        connection:close()
      end)
    end
  end)
  assert(loop:loop())
end

function servers.copas()
  local socket, copas = require "socket", require "copas"
  local server = assert(socket.bind("127.0.0.1", 0, 1024))
  local _, port = server:getsockname()
  announce(port)
  copas.addserver(server, function(connection)
    while true do
      local line = copas.receive(connection)
      if not line then break end
      copas.send(connection, line .. "\n")
    end
    left = left - 1
  end)
  while left > 0 do copas.step(1) end
end

servers[library]()
print(('{"cpu": %.6f}'):format(os.clock()))
