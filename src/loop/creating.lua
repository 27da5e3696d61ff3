-- Sockets that are wrapped from the beginning, servers, and LuaSocket itself with such sockets.
local core, _, loop = ...

local socket -- LuaSocket; needed only for these functions
local originals = {} -- functions of LuaSocket and LuaSec as they were

local function luasocket()
  socket = socket or require "socket"
  return socket
end

-- Makes a socket by a function of LuaSocket, and wraps it.
local function making(name)
  return function(...)
    local made, err = (originals[name] or luasocket()[name])(...)
    if not made then return nil, err end
    return loop.wrap(made)
  end
end

for _, name in ipairs { "tcp4", "tcp6", "udp", "udp4", "udp6", "bind" } do
  loop[name] = making(name)
end
local make_tcp = making "tcp"

--- A TCP socket.
---@param address string|nil  its own, to be bound to
---@param port integer|nil
function loop.tcp(address, port)
  local made, err = make_tcp()
  if not (made and address) then return made, err end
  local bound
  bound, err = made:bind(address, port or 0)
  if not bound then
    made:close()
    return nil, err
  end
  return made
end

local make_tcp_of = { inet = loop.tcp4, inet6 = loop.tcp6, unspec = make_tcp }

local function connecting(usual_family)
  return function(host, port, address, own_port, family)
    if family == nil then family = usual_family end
    local make = make_tcp_of[family]
    if not make then
      core.blame(("bad argument #5 to 'connect' (invalid option '%s')"):format(tostring(family)))
    end
    local made, err = make()
    if not made then return nil, err end
    local result = true
    if address then
      made:setoption("reuseaddr", true)
      result, err = made:bind(address, own_port or 0)
    end
    if result then
      result, err = made:connect(host, port)
    end
    if result then return made end
    made:close()
    return nil, err
  end
end

--- A TCP connection.
---@param host string
---@param port integer
---@param address string|nil  its own address
---@param own_port integer|nil
---@param family string|nil  of its addresses: "inet", "inet6" or "unspec"
loop.connect = connecting "unspec"
loop.connect4 = connecting "inet"
loop.connect6 = connecting "inet6"

--- A server whose connections are handled in threads of their own, until it is closed.
---@param host string
---@param port integer  0: any that is free
---@param handler fun(connection: table)  it closes the connection
---@return table|nil server  its listening socket
---@return string|nil err
function loop.newserver(host, port, handler)
  if type(handler) ~= "function" then core.refuse("newserver", "handler", handler) end
  local server, err = loop.bind(host, port, 1024)
  if not server then return nil, err end
  loop.spawn(function()
    while true do
      local connection, why = server:accept()
      if connection then
        loop.spawn(handler, connection)
      elseif why == "closed" or why == "cancelled" or server:getfd() < 0 then
        return
      else
        loop.sleep(0.05) -- too many open files, for now
      end
    end
  end)
  return server
end

-- What takes the place of LuaSocket's functions.
local replacements = { sleep = function(seconds) loop.sleep(seconds) end }
for _, name in ipairs {
  "tcp", "tcp4", "tcp6", "udp", "udp4", "udp6", "connect", "connect4", "connect6", "bind",
} do
  replacements[name] = loop[name]
end

-- For LuaSec: what is made from a socket that waits in the loop waits there, too.
local function wrap_secure(socket_below, ...)
  local made, err = originals.wrap(socket_below, ...)
  if not (made and loop.is_wrapped(socket_below)) then return made, err end
  return loop.wrap(made)
end

local function replace(module, name, replacement)
  if module[name] == replacement then return end
  originals[name] = module[name]
  module[name] = replacement
end

--- Puts the functions above in the place of LuaSocket's, and if LuaSec is loaded lets it wrap
--- their sockets: what is built on LuaSocket waits in the loop from here on. Calling it again is
--- harmless.
---@return table<string, function>  the functions of LuaSocket, and `wrap` of LuaSec, as they were
function loop.install()
  for name, replacement in pairs(replacements) do replace(luasocket(), name, replacement) end
  if package.loaded.ssl then replace(package.loaded.ssl, "wrap", wrap_secure) end
  return originals
end
