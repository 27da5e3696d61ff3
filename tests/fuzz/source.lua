-- A program as Lua source.
--
--   source.write(program, version, standard, omitted) -> text
--
-- What runs is what a failure is printed as. `standard`: to be run on the standard library;
-- `omitted`: the operations that the model left out.
local model = require "model"
local places = require "places"

local source = {}

-- The folder of this file.
local here = package.path:match "([^;]*)%?%.lua"

local function read(name)
  local file = assert(io.open(here .. name))
  local text = file:read "*a"
  file:close()
  return text
end

local prelude = read "prelude.lua"

-- ---- operations -----------------------------------------------------------------------------

local writer = {}
writer.__index = writer

function writer:add(line) self.lines[#self.lines + 1] = ("  "):rep(self.depth) .. line end

function writer:block(first, list, last)
  self:add(first)
  self.depth = self.depth + 1
  self:list(list)
  self.depth = self.depth - 1
  self:add(last)
end

local function literals(values)
  if values.from then return ("values(%d, %d)"):format(values.n, values.from) end
  local list = {}
  for i = 1, values.n do list[i] = model.value(values, i) end
  return table.concat(list, ", ")
end

local function error_literal(err)
  if err.kind == "text" or err.kind == "positioned" then return '"e' .. err.number .. '"' end
  if err.kind == "number" then return tostring(err.number) end
  if err.kind == "object" then return "object(" .. err.number .. ")" end
  return err.kind
end

local function target(to)
  if to == "main" or to == "nil" then return to end
  return "t[" .. to .. "]"
end

local ways_to_call = {
  plain = "%s(%s)",
  pcall = "pcall(%s, %s)",
  tail = "(function() return %s(%s) end)()",
}

-- Shows what a call gives.
local function call(f, write_arguments)
  return function(w, o)
    local called = f or "f[" .. o.thread .. "]"
    local text = ways_to_call[o.call or "plain"]:format(called, write_arguments(o))
    w:add(("show(%q, %s)"):format(o.label, (text:gsub(", %)", ")"))))
  end
end

local function target_and_values(o) return target(o.to) .. ", " .. literals(o.values) end
local function values(o) return literals(o.values) end

local write = {
  transfer = call("coro.transfer", target_and_values),
  ptransfer = call("coro.ptransfer", target_and_values),
  resume = call("coro.resume", target_and_values),
  standard_resume = call("standard.resume", target_and_values),
  throw = call("coro.throw", function(o) return target(o.to) .. ", " .. error_literal(o.error) end),
  close = call("coro.close", function(o) return target(o.to) end),
  call = call(nil, values),
  yield = call("coro.yield", values),
  standard_yield = call("standard.yield", values),
}

function write.own_yield(w, o) call("y[" .. o.of .. "]", values)(w, o) end

local made = { create = "t[%d] = ", wrap = "f[%d] = ", safewrap = "f[%d], t[%d] = " }

local function create(w, o)
  local maker = o.maker == "standard" and "standard" or "coro"
  local call_of_maker = ("%s.%s(body[%d])"):format(maker, o.what, o.thread)
  w:add(made[o.what]:gsub("%%d", o.thread) .. call_of_maker)
end
write.create, write.wrap, write.safewrap = create, create, create

function write.drop(w, o) w:add("drop(" .. o.thread .. ")") end

function write.error(w, o)
  w:add("error(" .. error_literal(o.error) .. (o.error.kind == "positioned" and ")" or ", 0)"))
end

function write.finish(w, o) w:add(("do return %s end"):format(literals(o.values))) end

function write.inside(w, o) w:block(o.place .. "(function()", o.body, "end)") end

function write.pcall(w, o)
  w:block(("show(%q, pcall(function()"):format(o.label), o.body, "end))")
end

function write.xpcall(w, o)
  local last = ("end, handler %q))"):format(o.label)
  w:block(("show(%q, xpcall(function()"):format(o.label), o.body, last)
end

function write.load(w, o)
  w:block(("show(%q, read(function()"):format(o.label), o.body, "end))")
end

write["repeat"] = function(w, o) w:block(("for _ = 1, %d do"):format(o.times), o.body, "end") end

function write.closing(w, o)
  local variable = w.version.has_close and (" local _ <close> = closing %q"):format(o.label) or ""
  w:block("do" .. variable, o.body, "end")
end

function write.ask(w, o)
  local list = {}
  for i, number in ipairs(o.threads) do list[i] = number == "main" and '"main"' or number end
  w:add(("show(%q, ask(%s))"):format(o.label, table.concat(list, ", ")))
end

local got = { number = "1", string = "'x'", table = "{}", boolean = "true", ["function"] = "print" }

function write.misuse(w, o)
  w:add(("show(%q, misuse(coro.%s, %s))"):format(o.label, o.f, got[o.got]))
end

function write.configure(w, o)
  w:add(("coro.configure { warm_stacks = %d }"):format(o.warm_stacks))
end

function write.collect(w, o) w:add(("show(%q, collect %q)"):format(o.label, o.how)) end

function writer:operation(o)
  if not self.omitted[o] then write[o.what](self, o) end
end

function writer:list(list)
  for _, o in ipairs(list) do self:operation(o) end
end

-- ---- programs -------------------------------------------------------------------------------

-- Which threads the list creates, and which places it uses.
local function survey(w, list, kinds, used)
  for _, o in ipairs(list) do
    if not w.omitted[o] then
      if made[o.what] then kinds[o.thread] = o.what end
      if o.place then used[o.place] = true end
      if o.body then survey(w, o.body, kinds, used) end
    end
  end
end

local collectors = {
  eager = 'collectgarbage("setpause", 50) collectgarbage("setstepmul", 1000)',
  stopped = 'collectgarbage "stop"',
  generational = 'if _VERSION == "Lua 5.4" then collectgarbage "generational" end',
}

local function begin(w)
  local p = w.program
  if w.standard then
    w:add 'local coro, standard, main = coroutine, nil, require "coro".main'
  else
    w:add 'local coro, standard, main = require "coro", coroutine, require "coro".main'
    if p.installed then w:add "coro.install() coro = coroutine" end
    for _, name in ipairs { "warm_stacks", "max_depth" } do
      if p[name] then w:add(("coro.configure { %s = %d }"):format(name, p[name])) end
    end
  end
  w:add(("local tells_yieldable, collects_exactly = %s, %s"):format(
    tostring(not w.standard or w.version.standard_isyieldable_of),
    tostring(w.version.collects_exactly)))
  if collectors[p.collector] then w:add(collectors[p.collector]) end
  w.lines[#w.lines + 1] = prelude
end

function source.write(program, version, standard, omitted)
  local w = setmetatable({ lines = {}, depth = 0 }, writer)
  w.program, w.version, w.standard, w.omitted = program, version, standard, omitted
  begin(w)

  local kinds, used = {}, {}
  survey(w, program.main, kinds, used)
  for _, list in ipairs(program.threads) do survey(w, list, kinds, used) end
  for _, place in ipairs(places) do
    if used[place.name] then w:add(place.source) end
  end
  for number, list in ipairs(program.threads) do
    if kinds[number] == "safewrap" then
      w:add(("body[%d] = function(own_yield, ...)"):format(number))
      w:add(("  y[%d] = own_yield"):format(number))
    elseif kinds[number] then
      w:add(("body[%d] = function(...)"):format(number))
    end
    if kinds[number] then w:block(("  starts(%d, ...)"):format(number), list, "end") end
  end
  for _, o in ipairs(program.main) do
    if not w.omitted[o] then w:block("do_main(function()", { o }, "end)") end
  end
  return table.concat(w.lines, "\n") .. "\n"
end

return source
