---@meta coro
-- What editors are told of the module: LuaCATS definitions, for the `workspace.library` of the Lua
-- language server. docs/reference.md says more.

---@class coro
local coro = {}

-- Creating

--- A thread that will call f.
---@param f function
---@return thread
function coro.create(f) end

--- A function that resumes a thread each time it is called.
---@param f function
---@return fun(...): ...
function coro.wrap(f) end

--- A generator whose yields reach its caller, also from threads nested in it.
---@param f fun(yield: (fun(...): ...), ...): ...
---@return fun(...): ... generator
---@return thread thread
function coro.safewrap(f) end

-- Switching

--- Suspends the current thread and continues another one.
---@param thread? thread  main if nil
---@param ... any  what that receives
---@return any ...  what somebody transfers back
function coro.transfer(thread, ...) end

--- As transfer, but an error that arrives is returned.
---@param thread? thread
---@param ... any
---@return boolean ok
---@return any ...  or the error and a traceback
function coro.ptransfer(thread, ...) end

--- Continues a thread until it yields or ends.
---@param thread thread
---@param ... any
---@return boolean ok
---@return any ...  or the error and a traceback
function coro.resume(thread, ...) end

--- Continues the resumer.
---@param ... any  what it receives
---@return any ...  what this thread is resumed with
function coro.yield(...) end

--- Continues a thread by an error.
---@param thread? thread  main if nil
---@param err? any
---@return any ...
function coro.throw(thread, err) end

--- Calls start with a callback, and waits until that is called.
---@param start fun(resume: fun(...))
---@return any ...  what the callback is called with
function coro.await(start) end

-- Ending

---@param thread thread
---@return boolean ok
---@return any err
function coro.close(thread) end

-- Asking

---@return thread|nil  nil in main
function coro.current() end

---@return thread|nil running
---@return boolean is_main  from 5.2 on
function coro.running() end

---@param thread thread
---@return "suspended"|"running"|"normal"|"dead"
function coro.status(thread) end

---@param thread? thread
---@return boolean
function coro.isyieldable(thread) end

---@type thread
coro.main = nil

-- Living with the standard library

--- Takes the place of the standard library.
---@return table standard  the standard library, as it was
function coro.install() end

-- Limits

---@class coro.settings
---@field stack_size? integer  bytes of address space for each new C stack
---@field max_stacks? integer  C stacks: running, mounted and idle
---@field warm_stacks? integer  threads that stay mounted though they need not
---@field max_depth? integer  threads that wait for each other in resume

---@param settings? coro.settings
---@return coro.settings in_force
function coro.configure(settings) end

---@class coro.stats
---@field threads integer  made by coro and alive
---@field mounted integer  suspended with a C stack
---@field pinned integer  of these, those that must have it
---@field stacks_in_use integer
---@field stacks_idle integer
---@field stacks_limit integer
---@field stack_size integer  of new ones, in bytes
---@field switches integer  so far

---@return coro.stats
function coro.stats() end

return coro
