-- Sockets of LuaSocket and LuaSec with the methods and results they have, which wait in the loop
-- where those would block. The socket itself is always non-blocking: a method tries it, waits
-- until it may be ready, and tries again.
--
-- An object has these fields:
--   socket          the socket of LuaSocket or LuaSec
--   descriptor      its registration, from the first wait on
--   waits_first     does `receive` wait before it tries? Not with a total timeout, nor with 0
--   has_sent        has LuaSocket taken it for one that can send?
--   block, total    its timeouts as LuaSocket knows them, in seconds; nil: none
--   is_timed        may one of them pass while it waits?
--   is_unspecified  has it tried to connect in vain, with no family of its own?
local core, _, loop = ...

local pause, pause_first, watch, now = core.pause, core.pause_first, core.watch, core.now

-- What a socket that is not ready says, and what it waits for then.
local to_receive = { timeout = "r", wantread = "r", wantwrite = "w" }
local to_send = { timeout = "w", wantread = "r", wantwrite = "w" }

local methods = {} -- by name; all kinds of sockets share them
local makers = {} -- by name: of a method that waits, out of the socket's own, all of them, its name
local classes = {} -- by the metatable of the socket

local function register(self)
  local descriptor = core.open(self.socket:getfd())
  self.descriptor = descriptor
  return descriptor
end

-- Before the socket closes its file descriptor, or gets another one. Whoever waits gets "closed".
local function forget(self)
  local descriptor = self.descriptor
  if not descriptor then return end
  self.descriptor = nil
  self.waits_first = false
  core.release(descriptor)
end

-- Waits until the socket may be ready, as long as its timeouts permit. Both count from the start of
-- the method; with both of them, no single wait is longer than the one with "b". That is over where
-- it is 0: otherwise the socket is looked at once more.
---@param start number|nil  when the method began, if the socket is timed
---@return true|nil, string|nil err
local function wait_until_ready(self, mode, start)
  local block, total = self.block, self.total
  if block == 0 then return nil, "timeout" end
  local timeout
  if start and (total or block) then
    timeout = (total or block) - (now() - start) -- `watch` takes less than 0 for 0
    if total and block then timeout = math.min(timeout, block) end
  end
  return pause(watch(self.descriptor or register(self), mode, timeout))
end

-- Nobody is to starve while the sockets of others are always ready: of so many calls, whoever makes
-- them, one leaves the others their turn before it tries. Each method counts by itself: to call a
-- function for it takes 7 % more instructions for a line that is echoed.
local calls, most_calls = 0, 200

---@return true|nil, string|nil err
local function give_way(self)
  calls = 0
  if self.block == 0 then return true end
  return core.give_way()
end

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

local function delegating(name, own_method)
  local call = blaming(name, own_method)
  return function(self, ...) return call(self.socket, ...) end
end

-- Makes a method that is tried again, with the same arguments, until it does not ask to wait.
local function again(modes)
  return function(own_method, _, name)
    local try = blaming(name, own_method)
    return function(self, ...)
      local start = self.is_timed and now()
      calls = calls + 1
      if calls > most_calls then
        local has_turn, err = give_way(self)
        if not has_turn then return nil, err end
      end
      while true do
        local first, second, third = try(self.socket, ...)
        local mode = not first and modes[second]
        if not mode then
          if third ~= nil then return first, second, third end
          if second ~= nil then return first, second end
          return first
        end
        local is_ready, err = wait_until_ready(self, mode, start)
        if not is_ready then return first, err == "timeout" and second or err end
      end
    end
  end
end

makers.receivefrom = again(to_receive)
makers.sendto = again(to_send)
makers.dohandshake = again(to_receive)

function makers.accept(...)
  local accept = again(to_receive)(...)
  return function(self)
    local client, err = accept(self)
    if not client then return nil, err end
    return loop.wrap(client)
  end
end

-- What was received in several tries.
local function join(chunks, last)
  chunks[#chunks + 1] = last
  return table.concat(chunks)
end

local function is_for_all(pattern) return type(pattern) == "string" and pattern:find "^%*?a" end

-- Goes on after the first try, which was asked for with that pattern and prefix.
local function receive_rest(self, receive, start, pattern, prefix, err, partial)
  local before = prefix and #tostring(prefix) or 0
  local chunks
  while true do
    self.waits_first = err == "timeout" and partial ~= nil -- not LuaSec
      and self.block ~= 0 and not self.total
    if partial and partial ~= "" then
      chunks = chunks or {}
      chunks[#chunks + 1] = partial
      if tonumber(pattern) then pattern = pattern - #partial end
      prefix = nil
    end
    local is_ready, why = wait_until_ready(self, to_receive[err], start)
    if not is_ready then
      if why == "timeout" then why = err end
      return nil, why, partial and (chunks and table.concat(chunks) or partial)
    end
    -- The end of the stream is what "*a" waits for, and not an error. Where a try finds nothing
    -- else it does not tell that from a connection that was cut off.
    if chunks and err == "timeout" and is_for_all(pattern) then
      local has_ended, what = core.has_ended(self.socket:getfd())
      if has_ended or what then
        local all = table.concat(chunks)
        if has_ended and #all > before then return all, nil, nil end
        return nil, what or "closed", all
      end
    end
    local data
    data, err, partial = receive(self.socket, pattern, prefix)
    if data or not to_receive[err] then
      if not chunks then return data, err, partial end
      if data then return join(chunks, data), nil, nil end
      local is_end = err == "closed" and partial == "" and is_for_all(pattern)
      local all = join(chunks, partial)
      if is_end and #all > before then return all, nil, nil end
      return nil, err, all
    end
  end
end

-- Patterns that are taken, besides sizes. Whatever else it is called with, `receive` may refuse: it
-- is called by pcall then, which costs more than to look. So it is, too, as long as it has not
-- waited, and `send` the first time, since the socket may not be connected; and `send` with nothing
-- or with the ends of a part. A table, say, that is sent later is blamed on this file: to look at
-- its type takes 3 % more instructions for a line.
local patterns = { ["*l"] = true, ["*a"] = true }

local function is_size(value) return type(value) == "number" and value >= 0 end

function makers.receive(receive, own_methods, name)
  if own_methods.receivefrom then return again(to_receive)(receive, own_methods, name) end
  local dirty, receive_or_blame = own_methods.dirty, blaming(name, receive)
  return function(self, pattern, prefix)
    local socket, start = self.socket, self.is_timed and now()
    local try = receive
    if not self.waits_first or prefix ~= nil
      or pattern ~= nil and not patterns[pattern] and not is_size(pattern) then
      try = receive_or_blame
    end
    -- Once it had to wait, what is not in LuaSocket's buffer is not expected to be there already:
    -- a try in vain costs more than the wait. The wait is that of wait_until_ready, without a call
    -- of it: 5 %, as above.
    if self.waits_first and not prefix and pattern ~= 0 and not dirty(socket) then
      local is_ready, why = pause_first(watch(self.descriptor, "r", self.block))
      if not is_ready then
        if why == "timeout" then return try(socket, pattern) end -- it may be no pattern at all
        return nil, why, ""
      end
    else
      calls = calls + 1
      if calls > most_calls then
        local has_turn, why = give_way(self)
        if not has_turn then return nil, why, tostring(prefix or "") end
      end
    end
    local data, err, partial = try(socket, pattern, prefix)
    if data or not to_receive[err] then return data, err, partial end
    return receive_rest(self, receive, start, pattern, prefix, err, partial)
  end
end

function makers.send(send, own_methods, name)
  if own_methods.sendto then return again(to_send)(send, own_methods, name) end
  local send_or_blame = blaming(name, send)
  return function(self, data, first, last)
    local start = self.is_timed and now()
    local try = send
    if not self.has_sent or not data or first ~= nil then try = send_or_blame end
    calls = calls + 1
    if calls > most_calls then
      local has_turn, why = give_way(self)
      if not has_turn then return nil, why, first and first - 1 or 0 end
    end
    while true do
      local sent, err, sent_before = try(self.socket, data, first, last)
      if try ~= send and sent then self.has_sent = true end
      local mode = not sent and to_send[err]
      if not mode then return sent, err, sent_before end
      if sent_before then first = sent_before + 1 end
      local is_ready, why = wait_until_ready(self, mode, start)
      if not is_ready then return nil, why == "timeout" and err or why, sent_before end
    end
  end
end

-- Does it take addresses of any family? LuaSocket makes no file descriptor for such a socket before
-- it has an address, and until then says that it is of IPv4.
local function takes_any(self) return self.is_unspecified or self.socket:getfd() < 0 end

local unknown_host = "host or service not provided, or not known"

-- The addresses of a host that the socket takes. Addresses are not looked up.
local function addresses_of(self, host)
  if type(host) ~= "string" or host == "*" or host:find ":" or host:find "^[%d.]+$" then
    return { { addr = host } }
  end
  local found, err = loop.resolve(host)
  if not found then return nil, err end
  if takes_any(self) then return found end
  local family = self.socket:getfamily() == "inet6" and "inet6" or "inet"
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
  forget(self) -- LuaSocket may open another file descriptor
  local start = self.is_timed and now()
  local result, err = hand_over("connect", pcall(self.socket.connect, self.socket, ...))
  -- A UNIX socket that cannot connect at once is destroyed by LuaSocket.
  while not result and err == "timeout" and self.socket:getfd() >= 0 do
    local is_ready, why = wait_until_ready(self, "w", start)
    if not is_ready then return nil, why end
    result, err = self.socket:connect(...)
    if err == "already connected" then return 1 end
  end
  if result then return result end
  return nil, err
end

-- Another object of LuaSocket's, since the one that tried in vain keeps the family of the address
-- that it tried, and what it began.
local function begin_again(self)
  forget(self)
  self.socket:close()
  self.socket, self.has_sent = loop.tcp().socket, false
end

function methods:connect(host, port)
  if port == nil then return connect_to(self, host) end
  local addresses, err = addresses_of(self, host)
  if not addresses then return nil, err end
  if self.socket:getfd() < 0 then self.is_unspecified = true end
  for _, address in ipairs(addresses) do
    if self.is_unspecified and self.socket:getfd() >= 0 then begin_again(self) end
    local result
    result, err = connect_to(self, address.addr, port)
    -- Who does not want to wait here goes on with what has begun.
    local goes_on = err == "timeout" and (self.block == 0 or self.total == 0)
    if result or goes_on then self.is_unspecified = false end
    if result then return result end
    if goes_on or err == "closed" or err == "cancelled" then break end
  end
  return nil, err
end

-- A method that takes a host and blocks only to look it up.
local function with_address(own_method, _, name)
  local call = delegating(name, own_method)
  return function(self, host, port, ...)
    if port == nil then return call(self, host) end -- a path, or "*"
    local addresses, err = addresses_of(self, host)
    if not addresses then return nil, err end
    for _, address in ipairs(addresses) do
      local result
      result, err = call(self, address.addr, port, ...)
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

local function is_timed(block, total) return block ~= 0 and (block or total) ~= nil end

function methods:settimeout(value, mode)
  local socket = self.socket
  hand_over("settimeout", pcall(socket.settimeout, socket, value, mode)) -- it knows what is wrong
  socket:settimeout(0, "b")
  socket:settimeout(-1, "t")
  self.waits_first = false
  if (mode or "b"):find "^b" then
    self.block = timeout_of(value)
  else
    self.total = timeout_of(value)
  end
  self.is_timed = is_timed(self.block, self.total)
  return 1
end

function methods:gettimeout() return self.block or -1, self.total or -1 end

function methods:getfd() return self.socket:getfd() end -- without pcall: `wait` calls it

function methods:close()
  forget(self)
  return self.socket:close()
end

function methods:setfd(fd)
  forget(self)
  return self.socket:setfd(fd)
end

local function show(self) return "coro.loop: " .. tostring(self.socket) end

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

--- Did `wrap` make it?
---@return boolean
function loop.is_wrapped(object)
  local kind = getmetatable(object)
  return kind ~= nil and classes[kind] == kind
end

--- An object with the methods of a socket, which wait in the loop. The socket itself is not to be
--- used any more. What is wrapped already is returned.
---@param socket userdata|table  of LuaSocket (TCP, UDP, UNIX, server) or LuaSec
function loop.wrap(socket)
  if loop.is_wrapped(socket) then return socket end
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
  block, total = timeout_of(block), timeout_of(total)
  socket:settimeout(0, "b")
  socket:settimeout(-1, "t")
  return setmetatable({
    socket = socket,
    descriptor = nil,
    waits_first = false,
    has_sent = false,
    block = block,
    total = total,
    is_timed = is_timed(block, total),
    is_unspecified = false,
  }, class)
end
