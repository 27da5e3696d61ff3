-- Sockets of LuaSocket and LuaSec with the methods and results they have, which wait in the loop
-- where those would block. The socket itself is always non-blocking: a method tries it, waits
-- until it may be ready, and tries again. For streams `core` does so.
--
-- An object has the socket at 1 and what `core` knows of it at 2; and a field
--   is_unspecified  has it tried to connect in vain, with no family of its own?
local core, _, loop = ...

local methods = {} -- by name; all kinds of sockets share them
local makers = {} -- by name: of a method that waits, out of the socket's own, all of them, its name
local classes = {} -- by the metatable of the socket

-- What a method of LuaSocket's gave to pcall. For wrong arguments, of which the socket is none, it
-- blames who called the method of ours with that name.
local function hand_over(name, ok, ...)
  if ok then return ... end
  local text = tostring((...)):gsub("^bad argument #(%d+) to '%?'", function(number)
    if number == "1" then return ("calling '%s' on bad self"):format(name) end
    return ("bad argument #%d to '%s'"):format(number - 1, name)
  end)
  core.blame(text)
end

local function blaming(name, own_method)
  return function(...) return hand_over(name, pcall(own_method, ...)) end
end

local function is_wrapped(object)
  local kind = getmetatable(object)
  return kind ~= nil and classes[kind] == kind
end

--- Did `wrap` make it?
---@type fun(object: any): boolean
loop.is_wrapped = is_wrapped

-- Of the method of that name, which was called with it as `self`.
local function check_self(self, name)
  if not is_wrapped(self) then core.blame(("calling '%s' on bad self"):format(name)) end
end

local function delegating(name, own_method)
  local call = blaming(name, own_method)
  return function(self, ...)
    check_self(self, name)
    return call(self[1], ...)
  end
end

-- Makes a method that is tried again, with the same arguments, until it does not ask to wait.
local function again(sends)
  return function(own_method, _, name)
    local try = blaming(name, own_method)
    return function(self, ...)
      check_self(self, name)
      local start = core.start(self)
      local has_turn, why = core.take_turn(self)
      if not has_turn and why ~= "timeout" then return nil, why end
      while true do
        local first, second, third = try(self[1], ...)
        local is_ready, err
        if not first then
          is_ready, err = core.wait_until_ready(self, second, sends, start)
        end
        if is_ready == nil and not err then
          if third ~= nil then return first, second, third end
          if second ~= nil then return first, second end
          return first
        end
        if not is_ready then return first, err == "timeout" and second or err end
      end
    end
  end
end

makers.receivefrom = again(false)
makers.sendto = again(true)
makers.dohandshake = again(false)

function makers.accept(...)
  local accept = makers.receivefrom(...)
  return function(self)
    local client, err = accept(self)
    if not client then return nil, err end
    return loop.wrap(client)
  end
end

-- Those of datagrams are tried again as they are.
function makers.receive(receive, own_methods, name)
  if own_methods.receivefrom then return again(false)(receive, own_methods, name) end
  return core.make_receive(receive, blaming(name, receive), own_methods.dirty)
end

function makers.send(send, own_methods, name)
  if own_methods.sendto then return again(true)(send, own_methods, name) end
  return core.make_send(send, blaming(name, send))
end

-- Does it take addresses of any family? LuaSocket makes no file descriptor for such a socket before
-- it has an address, and until then says that it is of IPv4.
local function takes_any(self) return self.is_unspecified or self[1]:getfd() < 0 end

local unknown_host = "host or service not provided, or not known"

-- The addresses of a host that the socket takes. Addresses are not looked up.
local function addresses_of(self, host)
  if type(host) ~= "string" or host == "*" or host:find ":" or host:find "^[%d.]+$" then
    return { { addr = host } }
  end
  local found, err = loop.resolve(host)
  if not found then return nil, err end
  if takes_any(self) then return found end
  local family = self[1]:getfamily() == "inet6" and "inet6" or "inet"
  local fitting = {}
  for _, address in ipairs(found) do
    if address.family == family then
      fitting[#fitting + 1] = address
    end
  end
  if not fitting[1] then return nil, unknown_host end
  return fitting
end

-- One address. The second try gives the outcome of the first.
local function connect_to(self, ...)
  core.release(self) -- LuaSocket may open another file descriptor
  local start = core.start(self)
  local result, err = hand_over("connect", pcall(self[1].connect, self[1], ...))
  -- A UNIX socket that cannot connect at once is destroyed by LuaSocket.
  while not result and err == "timeout" and self[1]:getfd() >= 0 do
    local is_ready, why = core.wait_until_ready(self, err, true, start)
    if not is_ready then return nil, why end
    result, err = self[1]:connect(...)
    if err == "already connected" then return 1 end
  end
  if result then return result end
  return nil, err
end

-- Another object of LuaSocket's, since the one that tried in vain keeps the family of the address
-- that it tried, and what it began.
local function begin_again(self)
  core.release(self)
  self[1]:close()
  self[1] = loop.tcp()[1]
  core.forget_socket(self)
end

function methods:connect(host, port)
  check_self(self, "connect")
  if port == nil then return connect_to(self, host) end
  local addresses, err = addresses_of(self, host)
  if not addresses then return nil, err end
  if self[1]:getfd() < 0 then self.is_unspecified = true end
  for _, address in ipairs(addresses) do
    if self.is_unspecified and self[1]:getfd() >= 0 then begin_again(self) end
    local result
    result, err = connect_to(self, address.addr, port)
    -- Who does not want to wait here goes on with what has begun.
    local block, total = core.timeouts(self)
    local goes_on = err == "timeout" and (block == 0 or total == 0)
    if result or goes_on then self.is_unspecified = false end
    if result then return result end
    if goes_on or err == "closed" or err == "cancelled" then break end
  end
  return nil, err
end

-- A method that takes a host and blocks only to look it up.
local function with_address(own_method, _, name)
  local call = blaming(name, own_method)
  return function(self, host, port, ...)
    check_self(self, name)
    if port == nil then return call(self[1], host) end -- a path, or "*"
    local addresses, err = addresses_of(self, host)
    if not addresses then return nil, err end
    for _, address in ipairs(addresses) do
      local result
      result, err = call(self[1], address.addr, port, ...)
      if result then
        self.is_unspecified = false
        return result
      end
    end
    return nil, err
  end
end
makers.bind, makers.setpeername = with_address, with_address

local function timeout_of(value)
  value = tonumber(value)
  return value and value >= 0 and value or nil
end

function methods:settimeout(value, mode)
  check_self(self, "settimeout")
  local socket = self[1]
  hand_over("settimeout", pcall(socket.settimeout, socket, value, mode)) -- it knows what is wrong
  socket:settimeout(0, "b")
  socket:settimeout(-1, "t")
  core.set_timeout(self, mode or "b", timeout_of(value))
  return 1
end

function methods:gettimeout()
  check_self(self, "gettimeout")
  return core.timeouts(self)
end

function methods:getfd() -- without pcall: `wait` calls it
  check_self(self, "getfd")
  return self[1]:getfd()
end

function methods:close()
  check_self(self, "close")
  core.release(self)
  return self[1]:close()
end

function methods:setfd(fd)
  check_self(self, "setfd")
  core.release(self)
  return self[1]:setfd(fd)
end

local function show(self) return "coro.loop: " .. tostring(self[1]) end

-- The class for a kind of socket: its own methods, those that would block replaced.
local function class_of(kind)
  local class = { __index = {}, __tostring = show, __name = "coro.loop socket" }
  for name, value in pairs(kind.__index) do
    if methods[name] then
      class.__index[name] = methods[name]
    elseif makers[name] then
      class.__index[name] = makers[name](value, kind.__index, name)
    elseif type(value) == "function" then
      class.__index[name] = delegating(name, value)
    else
      class.__index[name] = value
    end
  end
  if kind.__close then class.__close = methods.close end
  classes[kind], classes[class] = class, class
  return class
end

--- An object with the methods of a socket, which wait in the loop. The socket itself is not to be
--- used any more. What is wrapped already is returned.
---@param socket userdata|table  of LuaSocket (TCP, UDP, UNIX, server) or LuaSec
function loop.wrap(socket)
  if is_wrapped(socket) then return socket end
  local kind = getmetatable(socket)
  local class = kind and classes[kind]
  if not class then
    local known = type(kind) == "table" and type(kind.__index) == "table"
    if not (known and kind.__index.settimeout and kind.__index.getfd) then
      core.refuse("wrap", "socket", socket)
    end
    class = class_of(kind)
  end
  local block, total
  if kind.__index.gettimeout then
    block, total = socket:gettimeout()
  end
  socket:settimeout(0, "b")
  socket:settimeout(-1, "t")
  return setmetatable({ socket, core.new_state(timeout_of(block), timeout_of(total)) }, class)
end
