-- As in the standard library: close, where the standard has it.
local fixture = require "fixture"
local compatibility = require "compatibility"
local coro, standard = fixture.coro, fixture.standard
local compile = compatibility.compile
local program = compatibility.program
local plain_program = compatibility.plain_program
local call = compatibility.call

if standard.close then
  local function new_closing(log, name, err)
    return setmetatable({}, { __close = function(_, e)
      log("closing", name, e)
      if err then error(err, 0) end
    end })
  end

  -- A thread with two to-be-closed variables, suspended.
  local function new_open(co, log, first_error, second_error)
    local thread = co.create(compile [[
      local yield, a, b = ...
      local x <close> = a
      local y <close> = b
      yield "open"
      return "not closed"
    ]])
    log(co.resume(thread, co.yield, new_closing(log, "a", first_error),
                  new_closing(log, "b", second_error)))
    return thread
  end

  program("close of a thread in each state", function(co, log)
    local fresh = co.create(function() log "does not run" end)
    log(co.close(fresh))
    log(co.status(fresh), co.resume(fresh))
    local suspended = co.create(function() co.yield() log "does not go on" end)
    co.resume(suspended)
    log(co.close(suspended))
    log(co.status(suspended), co.resume(suspended))
    local finished = co.create(function() return 1 end)
    co.resume(finished)
    log(co.close(finished))
    log(co.status(finished))
    log(co.close(finished))
  end)

  program("close of a failed thread gives its error, once", function(co, log)
    for _, value in ipairs { "text", 12, {}, false } do
      local failed = co.create(function() error(value, 0) end)
      co.resume(failed)
      log(co.close(failed))
      log(co.close(failed))
      log(co.status(failed), co.resume(failed))
    end
  end)

  program("close closes variables, the last one first", function(co, log)
    local thread = new_open(co, log)
    log(co.close(thread))
    log(co.status(thread))
    log(co.close(thread))
  end)

  program("close gives the error of a __close method", function(co, log)
    log(co.close(new_open(co, log, "first")))
    log(co.close(new_open(co, log, nil, "second")))
    local thread = new_open(co, log, "first", "second")
    log(co.close(thread))
    log(co.status(thread))
    log(co.close(thread))
  end)

  program("close of a thread suspended in pcall", function(co, log)
    local thread = co.create(compile [[
      local yield, value, log = ...
      log(pcall(function()
        local x <close> = value
        yield "in pcall"
      end))
      log "does not go on"
    ]])
    log(co.resume(thread, co.yield, new_closing(log, "a"), log))
    log(co.close(thread))
    log(co.status(thread))
  end)

  program("close of a thread suspended in a __close method", function(co, log)
    local thread = co.create(compile [[
      local outer, inner = ...
      local x <close> = outer
      do
        local y <close> = inner
      end
    ]])
    log(co.resume(thread, new_closing(log, "outer"), setmetatable({}, { __close = function()
      co.yield "in close"
      log "does not go on"
    end })))
    log(co.close(thread))
    log(co.status(thread))
  end)

  program("close of the thread that a wrap function resumes", function(co, log)
    local thread
    local f = co.wrap(function()
      thread = co.running()
      co.yield "suspended"
    end)
    log(f())
    log(co.close(thread))
    log(pcall(call, f))
  end)

  program("close raises for the running thread and those that wait for it", function(co, log)
    local outer
    outer = co.create(function()
      log(pcall(function() return (co.close(outer)) end))
      co.wrap(function()
        log(pcall(function() return (co.close(outer)) end))
        log(pcall(co.close, outer))
      end)()
    end)
    log(co.resume(outer))
  end)

  plain_program("close raises for the main thread", function(co, log)
    log(pcall(function() return (co.close(coro.main)) end))
    co.wrap(function() log(pcall(function() return (co.close(coro.main)) end)) end)()
  end)

  program("close refuses what is no thread", function(co, log)
    for _, value in ipairs { 1, "text", true, {} } do
      log(pcall(function() return (co.close(value)) end))
      log(pcall(co.close, value))
    end
    log(pcall(function() return (co.close()) end))
  end)

  program("close in a __close method, of another thread", function(co, log)
    local inner = new_open(co, log)
    local outer = co.create(compile [[
      local yield, value = ...
      local x <close> = value
      yield "open"
    ]])
    co.resume(outer, co.yield, setmetatable({}, { __close = function() log(co.close(inner)) end }))
    log(co.close(outer))
    log(co.status(outer), co.status(inner))
  end)

  program("to-be-closed variables are closed in a thread that ends by itself", function(co, log)
    local thread = co.create(compile [[
      local yield, a, b = ...
      local x <close> = a
      yield(1)
      do
        local y <close> = b
        yield(2)
      end
      return yield(3)
    ]])
    log(co.resume(thread, co.yield, new_closing(log, "a"), new_closing(log, "b")))
    for i = 1, 4 do log(co.resume(thread, i)) end
  end)

  program("a yield in a __close method", function(co, log)
    local thread = co.create(compile [[
      local value = ...
      local function f()
        local x <close> = value
        return "result", nil
      end
      return f()
    ]])
    log(co.resume(thread, setmetatable({}, { __close = function() log(co.yield "closing") end })))
    log(co.resume(thread, "go on"))
    log(co.status(thread))
  end)
end

compatibility.check(describe, it, before_each, after_each)
