-- Makes a random program: generate(seed) -> program. The model of one version is run along, and
-- whichever thread is at the end of a list of operations gets one more, chosen by what the threads
-- are at: mostly what will work, sometimes what will be refused. The same on every Lua.
--
-- A program is { main = list, threads = { [number] = list }, ... settings }. A list is an array of
-- operations (operations.lua); some of them contain lists.
local model = require "model"
local operations = require "operations"
local places = require "places"
local random = require "random"
local version = require "versions"

local generator = {}
generator.__index = generator

-- ---- what operations are given --------------------------------------------------------------

function generator:values()
  local r = self.random
  self.counter = self.counter + 10
  if r:chance(2) then return { n = r:pick { 12, 13, 14, 15, 20, 50, 250 }, from = self.counter } end
  local values = { n = r:weighted { { 3, 0 }, { 4, 1 }, { 3, 2 }, { 2, 3 }, { 1, 5 } } }
  for i = 1, values.n do values[i] = r:chance(25) and "nil" or tostring(self.counter + i) end
  return values
end

function generator:error()
  self.counter = self.counter + 10
  local kinds = {
    { 6, "text" }, { 4, "positioned" }, { 2, "number" }, { 3, "object" },
    { 1, "nil" }, { 1, "true" }, { 1, "false" },
  }
  return { kind = self.random:weighted(kinds), number = self.counter }
end

function generator:way_to_call()
  return self.random:weighted { { 16, false }, { 3, "pcall" }, { 1, "tail" } } or nil
end

local function is_at_hand(T) return T.known and not T.dropped end

local function is_repeating(T)
  for _, frame in ipairs(T.frames or {}) do
    if frame.times then return true end
  end
  return false
end

-- A thread for which the condition holds, or nil. In a loop rather one that is in a loop, too.
function generator:find(condition)
  local order = self.model.order
  if #order == 0 then return nil end
  if self.repeating > 0 and self.random:chance(70) then
    for i = #order, 1, -1 do
      local T = order[i]
      if not T.dropped and T.state ~= "dead" and condition(T) and is_repeating(T) then return T end
    end
  end
  for _ = 1, 8 do
    local T = order[self.random:up_to(#order)]
    if not T.dropped and condition(T) then return T end
  end
  return nil
end

local function number_of(T) return T.number end

-- ---- which operations -----------------------------------------------------------------------

local choices = {}

local function may_continue(T)
  return is_at_hand(T) and (T.state == "fresh" or T.state == "suspended" or T.state == "yielded")
end
local function may_resume(T) return may_continue(T) and not model.waits_for_another(T) end
local function may_run_above(T)
  return is_at_hand(T) and T.state ~= "suspended"
end

local function new_thread(g, kind, maker)
  if #g.model.order >= g.most_threads or g.repeating > 0 then return nil end
  local number = #g.model.order + 1
  g.program.threads[number] = {}
  return { what = kind, thread = number, maker = maker }
end

function choices.create(g) return new_thread(g, "create", "coro") end
function choices.wrap(g) return new_thread(g, "wrap", "coro") end
function choices.safewrap(g) return new_thread(g, "safewrap", "coro") end
function choices.standard_create(g) return new_thread(g, "create", "standard") end
function choices.standard_wrap(g) return new_thread(g, "wrap", "standard") end

function choices.drop(g)
  local T = g:find(function() return true end)
  return T and { what = "drop", thread = number_of(T) }
end

local function target(g, condition)
  local T = g:find(g.random:chance(90) and condition or is_at_hand)
  return T and number_of(T)
end

local function transfer(what)
  return function(g, T)
    local to = target(g, may_continue)
    if T ~= g.model.main and g.random:chance(30) then
      to = g.random:chance(80) and "nil" or "main"
    end
    return to and { what = what, to = to, values = g:values(), call = g:way_to_call() }
  end
end
choices.transfer, choices.ptransfer = transfer "transfer", transfer "ptransfer"

choices["throw"] = function(g, T)
  local to = target(g, may_continue)
  if T ~= g.model.main and g.random:chance(20) then to = "nil" end
  return to and { what = "throw", to = to, error = g:error(), call = g:way_to_call() }
end

function choices.resume(g)
  local to = target(g, may_resume)
  if g.random:chance(2) then to = "main" end
  return to and { what = "resume", to = to, values = g:values(), call = g:way_to_call() }
end

function choices.standard_resume(g, T)
  local depth, below = 0, T
  while below do depth, below = depth + 1, below.below end
  if depth > 6 then return nil end
  local X = g:find(may_run_above)
  return X and { what = "standard_resume", to = number_of(X), values = g:values(),
                 call = g:way_to_call() }
end

function choices.call(g)
  local X = g:find(function(T)
    return T.kind ~= "create" and (T.state ~= "dead" or g.random:chance(5))
  end)
  return X and { what = "call", thread = number_of(X), values = g:values(), call = g:way_to_call() }
end

function choices.yield(g, T)
  local works = T.below or model.resumer(T)
  if not works and not g.random:chance(10) then return nil end
  return { what = "yield", values = g:values(), call = g:way_to_call() }
end

function choices.standard_yield(g, T)
  local works = (T.below or model.resumer(T)) and g.model:may_leave(T)
  if not works and not g.random:chance(10) then return nil end
  return { what = "standard_yield", values = g:values() }
end

function choices.own_yield(g)
  local X = g:find(function(T) return T.kind == "safewrap" and T.state ~= "fresh" end)
  local works = X and not X.below and model.resumer(X)
  if not X or not works and not g.random:chance(10) then return nil end
  return { what = "own_yield", of = number_of(X), values = g:values(), call = g:way_to_call() }
end

function choices.close(g)
  local to = target(g, function(T) return may_resume(T) or T.state == "dead" and is_at_hand(T) end)
  if g.random:chance(2) then to = "main" end
  return to and { what = "close", to = to, call = g:way_to_call() }
end

choices["error"] = function(g) return { what = "error", error = g:error() } end

function choices.finish(g, T, frame)
  if #T.frames ~= 1 or T == g.model.main or frame.pc < 2 then return nil end
  return { what = "finish", values = g:values() }
end

local function with_body(what)
  return function(_, T)
    if #T.frames > 6 then return nil end
    return { what = what, body = {} }
  end
end
choices.pcall, choices.xpcall = with_body "pcall", with_body "xpcall"
choices.load, choices.closing = with_body "load", with_body "closing"

function choices.inside(g, T)
  if #T.frames > 6 then return nil end
  return { what = "inside", place = g.random:pick(places).name, body = {} }
end

choices["repeat"] = function(g, T)
  if #T.frames > 6 or g.repeating > 0 then return nil end
  return { what = "repeat", times = g.random:pick { 2, 3, 5, 10, 30, 100 }, body = {} }
end

function choices.ask(g)
  local asked = {}
  for i = 1, math.min(#g.model.order, 4) do
    local T = g:find(is_at_hand)
    asked[i] = T and number_of(T) or nil
    if not T then break end
  end
  if g.random:chance(20) then asked[#asked + 1] = "main" end
  return { what = "ask", threads = asked }
end

local misuses = {}
for _, got in ipairs { "number", "string", "table", "boolean", "function" } do
  for _, f in ipairs { "transfer", "ptransfer", "throw" } do
    misuses[#misuses + 1] = { f = f, got = got, expects = "thread or nil" }
  end
  for _, f in ipairs { "resume", "status", "isyieldable", "close" } do
    misuses[#misuses + 1] = { f = f, got = got, expects = "thread" }
  end
  for _, f in ipairs { "create", "wrap", "safewrap" } do
    if got ~= "function" then misuses[#misuses + 1] = { f = f, got = got, expects = "function" } end
  end
end

function choices.misuse(g)
  local m = g.random:pick(misuses)
  return { what = "misuse", f = m.f, got = m.got, expects = m.expects }
end

function choices.configure(g)
  return { what = "configure", warm_stacks = g.random:pick { 0, 0, 1, 2, 3, 5, 1000 } }
end

function choices.collect(g)
  local ways = { { 5, "full" }, { 5, "step" }, { 1, "generational" }, { 1, "incremental" } }
  return { what = "collect", how = g.random:weighted(ways) }
end

-- How often each is chosen; the second figure is for programs that the standard library knows, too.
local weights = {
  { 12, 12, "create" }, { 6, 8, "wrap" }, { 5, 0, "safewrap" }, { 4, 0, "standard_create" },
  { 2, 0, "standard_wrap" }, { 3, 3, "drop" }, { 18, 0, "transfer" }, { 5, 0, "ptransfer" },
  { 16, 16, "resume" }, { 5, 0, "standard_resume" }, { 14, 8, "call" }, { 18, 14, "yield" },
  { 5, 0, "standard_yield" }, { 6, 0, "own_yield" }, { 5, 0, "throw" }, { 4, 4, "close" },
  { 3, 3, "error" }, { 3, 3, "finish" }, { 14, 6, "inside" }, { 6, 5, "pcall" }, { 3, 2, "xpcall" },
  { 2, 1, "load" }, { 3, 2, "repeat" }, { 2, 2, "closing" }, { 7, 7, "ask" }, { 1, 1, "misuse" },
  { 2, 0, "configure" }, { 3, 3, "collect" },
}

-- ---- programs -------------------------------------------------------------------------------

-- How long a list is to become.
function generator:plan(T, frame)
  if not frame.plan then
    local r = self.random
    if frame.catches == "main" then
      frame.plan = math.huge
    elseif #T.frames == 1 then
      frame.plan = r:up_to(r:chance(30) and 15 or 6)
    else
      frame.plan = r:up_to(3)
    end
  end
  return frame.plan
end

function generator:more(T, frame)
  if self.budget <= 0 or #frame.list >= self:plan(T, frame) then return end
  self.repeating = 0
  for _, f in ipairs(T.frames) do
    if f.times then self.repeating = self.repeating + 1 end
  end
  local operation = self.program.max_depth and self:chained(T, frame)
  for _ = 1, 20 do
    operation = operation or choices[self.random:weighted(self.weights)](self, T, frame)
    if operation then
      self.budget, self.count = self.budget - 1, self.count + 1
      operation.label = T.name .. " " .. operation.what .. " " .. self.count
      frame.list[#frame.list + 1] = operation
      return
    end
  end
end

-- Threads that begin by resuming one another, until there are too many of them.
function generator:chained(T, frame)
  if #T.frames > 1 or T == self.model.main then return nil end
  if #frame.list == 0 then return choices.create(self) end
  if #frame.list > 1 then return nil end
  return { what = "resume", to = #self.model.order, values = self:values() }
end

-- Least and most operations, most threads.
local sizes = {
  { 60, { 10, 40, 6 } }, { 30, { 40, 160, 20 } }, { 9, { 160, 600, 60 } },
  { 1, { 1500, 3000, 300 } },
}

local collectors = { { 12, "usual" }, { 2, "eager" }, { 2, "generational" }, { 1, "stopped" } }

local function generate(seed)
  local r = random.new(seed)
  local size = r:weighted(sizes)
  local g = setmetatable({ random = r, counter = 0, count = 0 }, generator)
  g.budget, g.most_threads = r:between(size[1], size[2]), size[3]
  g.program = {
    seed = seed,
    main = {},
    threads = {},
    asymmetric = r:chance(20),
    warm_stacks = r:pick { 0, 0, 1, 2, 4, 1000, 1000 },
    installed = r:chance(30),
    collector = r:weighted(collectors),
  }
  if not g.program.asymmetric and r:chance(1) then
    g.program.max_depth, g.budget, g.most_threads = 200, 600, 250
  end
  g.weights = {}
  for i, weight in ipairs(weights) do
    g.weights[i] = { weight[g.program.asymmetric and 2 or 1], weight[3] }
  end
  g.model = model.new(g.program, version "5.4")
  g.model:run(operations, function(_, T, frame) g:more(T, frame) end)
  return g.program
end

return generate
