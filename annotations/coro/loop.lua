---@meta coro.loop
-- What editors are told of the event loop: LuaCATS definitions. docs/loop.md says more.

---@class coro.loop
local loop = {}

-- Threads

---@param f function
---@param ... any
---@return thread
function loop.spawn(f, ...) end

---@param handler fun(err: any, traceback: string, thread: thread)
---@param f function
---@param ... any
---@return thread
function loop.spawn_with(handler, f, ...) end

---@param seconds number
---@param f function
---@param ... any
---@return thread
function loop.timeout(seconds, f, ...) end

---@param seconds number
---@return true|nil
---@return string|nil err  "cancelled"
function loop.sleep(seconds) end

--- Waits for `resume`.
---@return any ...
function loop.suspend() end

---@param thread thread  that waits in `suspend`
---@param ... any
function loop.resume(thread, ...) end

---@param thread thread
---@return boolean waited
function loop.cancel(thread) end

---@return thread|nil  nil in main
function loop.current() end

loop.newthread = loop.spawn

-- Waiting

---@param object integer|table|userdata  a file descriptor, or what has a method `getfd`
---@param mode "r"|"w"|"rw"
---@param timeout? number  in seconds
---@return true|nil
---@return string|nil err  "timeout", "closed", "cancelled" or what the system says
function loop.wait(object, mode, timeout) end

---@param name string  "INT", "TERM", "HUP", "USR1" ...
---@param timeout? number  in seconds
---@return true|nil
---@return string|nil err
function loop.signal(name, timeout) end

---@class coro.loop.address
---@field addr string
---@field family "inet"|"inet6"
---@field port integer

---@param host string
---@param port? integer|string
---@return coro.loop.address[]|nil
---@return string|nil err
function loop.resolve(host, port) end

---@return number seconds  of a clock that is never set
function loop.now() end

-- The loop

--- Continues threads until nothing is left that could happen, or until `stop`.
function loop.run() end

loop.start = loop.run

---@param timeout? number  in seconds
---@return boolean  is there anything left to wait for?
function loop.step(timeout) end

function loop.stop() end

-- Sockets: LuaSocket's functions, with wrapped results

---@class coro.loop.socket  the methods of the socket that it wraps

---@param socket userdata|table
---@return coro.loop.socket
function loop.wrap(socket) end

---@param object any
---@return boolean
function loop.is_wrapped(object) end

---@return coro.loop.socket|nil
---@return string|nil err
function loop.tcp(...) end

---@return coro.loop.socket|nil
---@return string|nil err
function loop.tcp4() end

---@return coro.loop.socket|nil
---@return string|nil err
function loop.tcp6() end

---@return coro.loop.socket|nil
---@return string|nil err
function loop.udp() end

---@return coro.loop.socket|nil
---@return string|nil err
function loop.udp4() end

---@return coro.loop.socket|nil
---@return string|nil err
function loop.udp6() end

---@param host string
---@param port integer|string
---@param own_host? string
---@param own_port? integer|string
---@param family? "inet"|"inet6"|"unspec"
---@return coro.loop.socket|nil
---@return string|nil err
function loop.connect(host, port, own_host, own_port, family) end

loop.connect4, loop.connect6 = loop.connect, loop.connect

---@param host string
---@param port integer|string
---@param backlog? integer
---@return coro.loop.socket|nil
---@return string|nil err
function loop.bind(host, port, backlog) end

---@param host string
---@param port integer|string
---@param handler fun(connection: coro.loop.socket)
---@return coro.loop.socket|nil
---@return string|nil err
function loop.newserver(host, port, handler) end

--- Puts these functions into the table of LuaSocket, and lets LuaSec wrap their sockets.
---@return table<string, function>  those that were there
function loop.install() end

return loop
