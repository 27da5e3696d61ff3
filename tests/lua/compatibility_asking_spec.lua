-- As in the standard library: status, running and isyieldable.
local fixture = require "fixture"
local compatibility = require "compatibility"
local coro, pack, standard = fixture.coro, fixture.pack, fixture.standard
local version = compatibility.version
local names_module_functions = compatibility.names_module_functions
local program = compatibility.program
local plain_program = compatibility.plain_program

program("status says what a thread does", function(co, log)
  local outer, inner
  inner = co.create(function()
    log(co.status(outer), co.status(inner))
    co.yield()
    log(co.status(outer), co.status(inner))
  end)
  outer = co.create(function()
    log(co.status(outer), co.status(inner))
    co.resume(inner)
    log(co.status(outer), co.status(inner))
    co.yield()
    co.resume(inner)
    log(co.status(outer), co.status(inner))
    error "x"
  end)
  log(co.status(outer), co.status(inner))
  co.resume(outer)
  log(co.status(outer), co.status(inner))
  co.resume(outer)
  log(co.status(outer), co.status(inner))
end)

program("status refuses what is no thread", function(co, log)
  for _, value in ipairs { 1, "text", true, {}, print } do
    log(pcall(function() return (co.status(value)) end))
    if names_module_functions then log(pcall(co.status, value)) end
  end
  log(pcall(function() return (co.status()) end))
end)

if version >= 5.2 then
  plain_program("status of the main thread", function(co, log)
    log(co.status(coro.main))
    co.resume(co.create(function() log(co.status(coro.main)) end))
  end)
end

-- running --------------------------------------------------------------------------------------

plain_program("running gives the thread, and whether it is the main one", function(co, log)
  local results = pack(co.running())
  log(results.n, type(results[1]), results[2])
  local thread
  thread = co.create(function()
    local inside = pack(co.running())
    log(inside.n, inside[1] == thread, inside[2])
    co.wrap(function()
      local deeper = pack(co.running())
      log(deeper.n, type(deeper[1]), deeper[1] == thread, deeper[2])
    end)()
    co.yield()
    log(co.running() == thread)
  end)
  co.resume(thread)
  co.resume(thread)
  log(co.running(1, 2) == results[1])
end)

-- isyieldable ----------------------------------------------------------------------------------

if standard.isyieldable then
  plain_program("isyieldable says whether yield would work here", function(co, log)
    log(co.isyieldable())
    co.wrap(function()
      log(co.isyieldable())
      log(pcall(co.isyieldable))
      co.yield()
    end)()
  end)
end

if version >= 5.4 then
  plain_program("isyieldable of other threads", function(co, log)
    local outer
    local fresh, finished = co.create(function() end), co.create(function() end)
    local suspended = co.create(function() co.yield() end)
    local failed = co.create(function() error "x" end)
    co.resume(finished)
    co.resume(suspended)
    co.resume(failed)
    log(co.isyieldable(fresh), co.isyieldable(finished), co.isyieldable(suspended))
    log(co.isyieldable(failed), co.isyieldable(coro.main))
    outer = co.create(function()
      log(co.isyieldable(outer))
      co.wrap(function() log(co.isyieldable(outer), co.isyieldable(coro.main)) end)()
    end)
    co.resume(outer)
  end)

  program("isyieldable refuses what is no thread", function(co, log)
    for _, value in ipairs { 1, "text", true, {} } do
      log(pcall(function() return (co.isyieldable(value)) end))
      log(pcall(co.isyieldable, value))
    end
  end)
end

compatibility.check(describe, it, before_each, after_each)
