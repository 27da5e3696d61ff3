-- TCP sockets of LuaSocket with the same methods and results, that block the calling coroutine
-- only: where the socket is not ready, the method waits in the scheduler and tries again.
-- Host names are looked up by the system, which blocks the process; addresses are not looked up.
local scheduler = require "scheduler"
local socket = require "socket"

---@class blocking_socket
---@field waits integer  how often it was not ready
---@field private tcp table  the socket of LuaSocket, which never blocks
---@field private timeout number|nil  of each wait, in seconds
local methods = {}
local metatable = { __index = methods }

local blocking_socket = {}

---@param wait fun(tcp: table, timeout: number|nil): boolean  one of the scheduler's
---@return boolean is_ready  false after the timeout
local function wait_until_ready(self, wait)
  self.waits = self.waits + 1
  return wait(self.tcp, self.timeout)
end

--- Takes a socket of LuaSocket over.
---@param tcp table
---@return blocking_socket
function blocking_socket.wrap(tcp)
  tcp:settimeout(0)
  return setmetatable({ tcp = tcp, waits = 0 }, metatable)
end

--- A new socket, to be connected. This is what `socket.http` takes as its `create`.
---@return blocking_socket|nil, string|nil err
function blocking_socket.create()
  local tcp, err = socket.tcp()
  if not tcp then return nil, err end
  return blocking_socket.wrap(tcp)
end

--- A socket that listens on an address of this machine.
---@param address string
---@param port integer  0: any that is free
---@param backlog integer|nil  how many connections may wait to be accepted
---@return blocking_socket|nil, string|nil err
function blocking_socket.listen(address, port, backlog)
  local tcp, err = socket.bind(address, port, backlog)
  if not tcp then return nil, err end
  return blocking_socket.wrap(tcp)
end

function methods:settimeout(seconds)
  self.timeout = seconds and seconds >= 0 and seconds or nil
  return 1
end

function methods:connect(address, port)
  local result, err = self.tcp:connect(address, port)
  if result or err ~= "timeout" then return result, err end
  if not wait_until_ready(self, scheduler.wait_writable) then return nil, "timeout" end
  -- The second call returns the outcome of the first.
  result, err = self.tcp:connect(address, port)
  if err == "already connected" then return 1 end
  return result, err
end

function methods:accept()
  while true do
    local tcp, err = self.tcp:accept()
    if tcp then return blocking_socket.wrap(tcp) end
    if err ~= "timeout" then return nil, err end
    if not wait_until_ready(self, scheduler.wait_readable) then return nil, err end
  end
end

function methods:receive(pattern, prefix)
  while true do
    local data, err, partial = self.tcp:receive(pattern, prefix)
    if data then return data end
    -- Of "*a", an earlier try may have received everything but the end.
    if pattern == "*a" and err == "closed" and partial ~= "" then return partial end
    if err ~= "timeout" then return nil, err, partial end
    if not wait_until_ready(self, scheduler.wait_readable) then return nil, err, partial end
    prefix = partial
  end
end

function methods:send(data, first, last)
  while true do
    local sent, err, sent_before_error = self.tcp:send(data, first, last)
    if sent then return sent end
    if err ~= "timeout" then return nil, err, sent_before_error end
    if not wait_until_ready(self, scheduler.wait_writable) then
      return nil, err, sent_before_error
    end
    first = sent_before_error + 1
  end
end

function methods:close()
  scheduler.forget(self.tcp)
  return self.tcp:close()
end

-- What needs no waiting goes straight to the socket.
for _, name in ipairs { "getsockname", "getpeername", "setoption", "getoption" } do
  methods[name] = function(self, ...) return self.tcp[name](self.tcp, ...) end
end

return blocking_socket
