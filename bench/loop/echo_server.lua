-- Echoes lines until it is ended from outside. Prints its port.
--   <lua> echo_server.lua MODULE_FOLDER CONTENDER
-- Each contender is what the users of that library would write: coro (coro.loop), copas, cqueues,
-- luv with plain callbacks. (They read in loops: on 5.1 only coro can wait in an iterator.) "luv
-- chunks" echoes what arrives, whatever it is: it knows no lines. `luasocket` serves one connection
-- after the other and keeps them all: what they take without any loop.
local modules, contender = arg[1], arg[2]
package.cpath = modules .. "/?.so;" .. package.cpath

local function announce(port)
  print(("%d"):format(port))
  io.stdout:flush()
end

local servers = {}

function servers.coro()
  local loop = require "coro.loop"
  local server = assert(loop.newserver("127.0.0.1", 0, function(connection)
    while true do
      local line = connection:receive()
      if not line then break end
      connection:send(line .. "\n")
    end
    connection:close()
  end))
  local _, port = server:getsockname()
  announce(port)
  loop.run()
end

-- With what is to be done with each chunk, until there is none.
local function serve_by_callbacks(make_reader)
  local uv = require "luv"
  local server = uv.new_tcp()
  assert(server:bind("127.0.0.1", 0))
  assert(server:listen(1024, function()
    local connection = uv.new_tcp()
    server:accept(connection)
    connection:read_start(make_reader(connection))
  end))
  announce(server:getsockname().port)
  uv.run()
end

function servers.luv()
  serve_by_callbacks(function(connection)
    local rest = ""
    return function(_, chunk)
      if not chunk then return connection:close() end
      rest = rest .. chunk
      while true do
        local last = rest:find("\n", 1, true)
        if not last then break end
        local line = rest:sub(1, last - 1)
        rest = rest:sub(last + 1)
        connection:write(line .. "\n")
      end
    end
  end)
end

servers["luv chunks"] = function()
  serve_by_callbacks(function(connection)
    return function(_, chunk)
      if not chunk then return connection:close() end
      connection:write(chunk)
    end
  end)
end

function servers.cqueues()
  local cqueues, socket = require "cqueues", require "cqueues.socket"
  local loop = cqueues.new()
  local server = assert(socket.listen { host = "127.0.0.1", port = 0 })
  assert(server:listen())
  local _, _, port = server:localname()
  announce(port)
  loop:wrap(function()
    while true do
      local connection = server:accept()
      connection:setmode("b", "bl")
      loop:wrap(function()
        while true do
          local line = connection:read "*l"
          if not line then break end
          connection:write(line, "\n")
        end
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
  copas.addserver(server, function(connection) -- and closes it
    while true do
      local line = copas.receive(connection)
      if not line then break end
      copas.send(connection, line .. "\n")
    end
  end)
  copas.loop()
end

function servers.luasocket()
  local server = assert(require "socket".bind("127.0.0.1", 0, 1024))
  local _, port = server:getsockname()
  announce(port)
  local connections = {}
  while true do
    local connection = assert(server:accept())
    connection:send(connection:receive() .. "\n")
    connections[#connections + 1] = connection
  end
end

servers[contender]()
