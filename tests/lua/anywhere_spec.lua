-- Leaving a coroutine from anywhere in it: every place below asks questions from within a callback,
-- and whoever drives it answers. The answers decide the results, so these are right only if every
-- question arrives, in order, and every answer comes back to where it was asked.
--
-- The suite drives each place by `yield` and by `transfer`, in several threads at once, out of a
-- nested standard coroutine, out of main, and with a full collection at every switch. What the
-- questions must be is told by the same place with a function that does not switch.
local fixture = require "fixture"
local coro, pack, unpack = fixture.coro, fixture.pack, fixture.unpack
local standard = fixture.standard

local version = tonumber(_VERSION:match "%d%.%d")
local has_52_xpcall = version >= 5.2 or jit ~= nil
local searchers = package.searchers or package.loaders -- luacheck: ignore
local new_proxy = newproxy -- luacheck: ignore

-- A function of source text, for syntax that not every version has.
local function compile(source, environment)
  if version >= 5.2 then return assert(load(source, "=text", "t", environment or _G)) end
  local f = assert(loadstring(source, "=text")) -- luacheck: ignore
  return environment and setfenv(f, environment) or f -- luacheck: ignore
end

local function show(value)
  if type(value) == "table" then return tostring(rawget(value, "name")) end
  if type(value) == "number" then return ("%g"):format(value) end
  if type(value) == "string" or type(value) == "boolean" then return tostring(value) end
  return type(value)
end

local function show_all(...)
  local shown = {}
  for i = 1, select("#", ...) do shown[i] = show((select(i, ...))) end
  return table.concat(shown, ",")
end

local function named(name, event, method)
  return setmetatable({ name = name }, { [event] = method })
end

local function less(a, b) return rawget(a, "name") < rawget(b, "name") end

-- places[i] = { name, run = function(ask) -> results, gives = results,
--   answer = function(question...) or answers = { one after the other }, only_transfer = boolean }
local places = {}
local function inside(name, place)
  place.name = name
  places[#places + 1] = place
end

-- What callbacks of C functions ----------------------------------------------------------------

inside("a table.sort comparator", {
  run = function(ask)
    local t = { 5, 3, 1, 4, 2 }
    table.sort(t, ask)
    return unpack(t)
  end,
  answer = function(a, b) return a < b end,
  gives = { 1, 2, 3, 4, 5 },
})

inside("a Lua function that is a table.sort comparator", {
  run = function(ask)
    local t = { 5, 3, 1, 4, 2 }
    table.sort(t, function(a, b)
      local smaller, bigger = ask(a, b)
      return smaller ~= bigger and smaller == a
    end)
    return unpack(t)
  end,
  answer = function(a, b) return math.min(a, b), math.max(a, b) end,
  gives = { 1, 2, 3, 4, 5 },
})

inside("a string.gsub callback", {
  run = function(ask) return ("hello world"):gsub("%w", ask) end,
  answer = function(c) return c:upper() end,
  gives = { "HELLO WORLD", 10 },
})

inside("a Lua function that is a string.gsub callback", {
  run = function(ask)
    return ("k1=v1, k2=v2"):gsub("(%w+)=(%w+)", function(k, v)
      local back = ask(v, k)
      return back .. "!"
    end)
  end,
  answer = function(v, k) return v .. "=" .. k end,
  gives = { "v1=k1!, v2=k2!", 2 },
})

inside("the __index of a string.gsub table", {
  run = function(ask)
    return ("a b"):gsub("%w", named("words", "__index", ask))
  end,
  answer = function(_, k) return k .. k end,
  gives = { "aa bb", 2 },
})

if table.foreach then -- luacheck: ignore
  inside("a table.foreach callback", {
    run = function(ask) return table.foreach({ 10, 20, 30 }, ask) end, -- luacheck: ignore
    answer = function(k, v) return k == 2 and v or nil end,
    gives = { 20 },
  })
  inside("a table.foreachi callback", {
    run = function(ask) return table.foreachi({ 10, 20, 30 }, ask) end, -- luacheck: ignore
    answer = function(k, v) return k == 3 and v or nil end,
    gives = { 30 },
  })
end

inside("a load reader", {
  run = function(ask) return assert(load(ask, "=pieces"))("given") end,
  answers = { "local x = ", "... ", "return x, 6", " * 7" },
  gives = { "given", 42 },
})

inside("a Lua function that is a load reader, and the chunk that it reads", {
  run = function(ask)
    local chunk = assert(load(function()
      local piece = ask "piece"
      return piece
    end))
    return chunk(ask)
  end,
  answers = { "local ask = ...", " return ask 'in the chunk'", nil, "answered" },
  gives = { "answered" },
})

-- Modules and files ----------------------------------------------------------------------------

-- A name that no other thread uses, under which a chunk finds its `ask`.
local last_name = 0
local function new_name(prefix)
  last_name = last_name + 1
  return prefix .. last_name
end

local function write_file(source)
  local path = os.tmpname()
  local file = assert(io.open(path, "w"))
  file:write(source)
  file:close()
  return path
end

inside("a package.preload function", {
  run = function(ask)
    local name = new_name "anywhere.preload"
    package.preload[name] = function(given) return { given == name, ask "loading" } end
    local module = require(name)
    local again = require(name)
    package.preload[name], package.loaded[name] = nil, nil
    return module == again, unpack(module)
  end,
  answers = { "loaded" },
  gives = { true, true, "loaded" },
})

inside("a package searcher and the loader that it returns", {
  run = function(ask)
    local name = new_name "anywhere.searched"
    local function search(wanted)
      if wanted ~= name then return nil end
      local found = ask "searching"
      return function() return found .. ask "loading" end
    end
    table.insert(searchers, search)
    local module = require(name)
    package.loaded[name] = nil
    for i, searcher in ipairs(searchers) do
      if searcher == search then table.remove(searchers, i) end
    end
    return module
  end,
  answers = { "found and ", "loaded" },
  gives = { "found and loaded" },
})

inside("a module's file, loaded by require", {
  run = function(ask)
    local path = write_file [[
      local ask = package.loaded[(...) .. ".ask"]
      local got = {}
      for i = 1, 3 do got[i] = ask(i) end
      return table.concat(got, " ")
    ]]
    local name = path:match "[^/]+$"
    package.loaded[name .. ".ask"] = ask
    local module = require(name)
    package.loaded[name .. ".ask"], package.loaded[name] = nil, nil
    os.remove(path)
    return module
  end,
  answer = function(i) return i * 11 end,
  gives = { "11 22 33" },
})

inside("dofile", {
  run = function(ask)
    local name = new_name "anywhere.dofile"
    package.loaded[name] = ask
    local path = write_file(([[
      local ask = package.loaded["%s"]
      return ask "one", ask "two"
    ]]):format(name))
    local got = pack(dofile(path))
    package.loaded[name] = nil
    os.remove(path)
    return unpack(got, 1, got.n)
  end,
  answer = string.upper,
  gives = { "ONE", "TWO" },
})

-- Protected calls and error handlers -----------------------------------------------------------

inside("pcall", {
  run = function(ask)
    return pcall(function(...)
      local first = ask(...)
      return first, ask "again"
    end, "once")
  end,
  answer = string.upper,
  gives = { true, "ONCE", "AGAIN" },
})

inside("pcall, called directly by it", {
  run = function(ask) return pcall(ask, "once") end,
  answer = function(x) return x, "answered" end,
  gives = { true, "once", "answered" },
})

inside("pcall, before an error that it catches", {
  run = function(ask)
    return pcall(function() error({ name = ask "what" }, 0) end)
  end,
  answers = { "this" },
  gives = { false, { name = "this" } },
})

inside("pcall in pcall, each catching an error and going on", {
  run = function(ask)
    return pcall(function()
      local ok, err = pcall(function() error(ask "inner", 0) end)
      error(tostring(ok) .. err .. ask "outer", 0)
    end)
  end,
  answer = string.upper,
  gives = { false, "falseINNEROUTER" },
})

inside("xpcall", {
  run = function(ask)
    return xpcall(function() return ask "one", ask "two" end, error)
  end,
  answer = string.upper,
  gives = { true, "ONE", "TWO" },
})

if has_52_xpcall then
  inside("xpcall, called directly by it", {
    run = function(ask) return xpcall(ask, error, "one", nil) end,
    answer = function(...) return select("#", ...), ... end,
    gives = { true, 2, "one" },
  })
end

inside("an xpcall message handler", {
  run = function(ask)
    return xpcall(function() error(ask "what", 0) end, ask)
  end,
  answers = { "this", "handled" },
  gives = { false, "handled" },
})

inside("a Lua function that is the message handler of a runtime error", {
  run = function(ask)
    return xpcall(function()
      local nothing = nil
      return nothing.field -- luacheck: ignore
    end, function(message)
      local kind = ask(type(message))
      return kind .. "/" .. ask "more"
    end)
  end,
  answer = string.upper,
  gives = { false, "STRING/MORE" },
})

-- Iterators ------------------------------------------------------------------------------------

inside("a generic for, as its iterator", {
  run = function(ask)
    local got = {}
    for a, b in ask, "state", 0 do got[#got + 1] = a .. b end
    return table.concat(got, " ")
  end,
  answer = function(state, i) if i < 3 then return i + 1, state end end,
  gives = { "1state 2state 3state" },
})

inside("a Lua function that is an iterator, and the loop's body", {
  run = function(ask)
    local got = {}
    for i in function(_, i) return ask("next", i) end, nil, 0 do
      got[#got + 1] = i + ask("body", i)
    end
    return unpack(got)
  end,
  answer = function(what, i)
    if what == "body" then return i * 10 end
    return i < 3 and i + 1 or nil
  end,
  gives = { 11, 22, 33 },
})

inside("the bodies of loops over ipairs, next and string.gmatch", {
  run = function(ask)
    local got = {}
    for i, v in ipairs { "a", "b" } do got[#got + 1] = ask(i, v) end
    for k, v in pairs { key = "value" } do got[#got + 1] = ask(k, v) end
    for k, v in ("x=1 y=2"):gmatch "(%w)=(%w)" do got[#got + 1] = ask(k, v) end
    return table.concat(got, " ")
  end,
  answer = function(k, v) return k .. v end,
  gives = { "1a 2b keyvalue x1 y2" },
})

inside("generators in a loop over a generator", {
  only_transfer = true, -- a yield goes to the loop
  run = function(ask)
    local function count(n)
      return coro.wrap(function()
        for i = 1, n do coro.yield(ask(i)) end
      end)
    end
    local got = {}
    for x in count(3) do
      for y in count(2) do got[#got + 1] = x .. y end
    end
    return table.concat(got, " ")
  end,
  answer = function(i) return ("abc"):sub(i, i) end,
  gives = { "aa ab ba bb ca cb" },
})

inside("a standard generator that goes on yielding after it", {
  only_transfer = true,
  run = function(ask)
    local got = {}
    for x in standard.wrap(function()
      for i = 1, 3 do standard.yield(ask(i)) end
    end) do
      got[#got + 1] = x
    end
    return unpack(got)
  end,
  answer = function(i) return i * i end,
  gives = { 1, 4, 9 },
})

inside("coro and standard generators in each other, three deep", {
  only_transfer = true,
  run = function(ask)
    local function outer(library, inner)
      return library.wrap(function()
        for x in inner do library.yield(ask(x)) end
        library.yield(ask "end")
      end)
    end
    local got = {}
    local numbers = coro.wrap(function() for i = 1, 2 do coro.yield(i) end end)
    for x in outer(standard, outer(coro, outer(standard, numbers))) do got[#got + 1] = x end
    return table.concat(got, " ")
  end,
  answer = function(x) return x .. "'" end,
  gives = { "1''' 2''' end''' end'' end'" },
})

-- Calls around it ------------------------------------------------------------------------------

inside("the arguments of select, unpack and other calls", {
  run = function(ask)
    local t = { ask "a", (ask "b"), ask "c" }
    return select("#", ask "d", ask "e"), #t, select(2, ask "f"), unpack { ask "g" }
  end,
  answer = function(x) return x, x:upper() end,
  gives = { 3, 4, "F", "g", "G" },
})

inside("string.gsub in table.sort in pcall", {
  run = function(ask)
    local t = { "b2", "a3", "c1" }
    local ok, count = pcall(function()
      local n = 0
      table.sort(t, function(x, y)
        local function key(s)
          return (s:gsub("%a", function(c)
            n = n + 1
            return ask(c)
          end))
        end
        return key(x) < key(y)
      end)
      return n > 0
    end)
    return ok, count, unpack(t)
  end,
  answer = function(c) return ({ a = "z", b = "y", c = "x" })[c] end,
  gives = { true, true, "c1", "b2", "a3" },
})

inside("an error's way through table.sort and string.gsub", {
  run = function(ask)
    return pcall(string.gsub, "x", "x", function()
      table.sort({ 1, 2 }, function() error(ask "inner", 0) end)
    end)
  end,
  answer = string.upper,
  gives = { false, "INNER" },
})

inside("a callback of a callback of itself, five deep", {
  run = function(ask)
    local function nest(depth)
      if depth == 0 then return ask "bottom" end
      return (("x"):gsub("x", function() return nest(depth - 1) .. ask(depth) end))
    end
    return nest(5)
  end,
  answer = tostring,
  gives = { "bottom12345" },
})

-- LuaJIT has one hook for all threads, which would ask in those that answer, too.
if not jit then
  inside("a debug hook", {
    run = function(ask)
      -- Globals of a spec are looked up by function calls.
      local got, n, set_hook, add = {}, 0, debug.sethook, function(a, b) return a + b end
      set_hook(function(event) got[#got + 1] = ask(event) end, "c")
      n = add(n, 2)
      n = add(n, 3)
      set_hook()
      return n, table.concat(got, " ")
    end,
    answer = string.upper,
    gives = { 5, "CALL CALL CALL" },
  })
end

-- Metamethods ----------------------------------------------------------------------------------

local function operator(event, symbol)
  inside(event, {
    run = function(ask)
      local a, b = named("a", event, ask), named("b", event, ask)
      local apply = compile("local a, b = ... local r = a " .. symbol .. " b return r")
      return apply(a, b), apply(a, 2), apply(3, b)
    end,
    answer = function(x, y) return "(" .. show(x) .. symbol .. show(y) .. ")" end,
    gives = { "(a" .. symbol .. "b)", "(a" .. symbol .. "2)", "(3" .. symbol .. "b)" },
  })
end

local function unary_operator(event, symbol)
  inside(event, {
    run = function(ask)
      local a = named("a", event, ask)
      return compile("local a = ... return " .. symbol .. "a")(a)
    end,
    answer = function(x) return symbol .. show(x) end,
    gives = { symbol .. "a" },
  })
end

for event, symbol in pairs { __add = "+", __sub = "-", __mul = "*", __div = "/", __mod = "%",
                             __pow = "^" } do
  operator(event, symbol)
end
unary_operator("__unm", "-")

if version >= 5.3 then
  for event, symbol in pairs { __idiv = "//", __band = "&", __bor = "|", __bxor = "~",
                               __shl = "<<", __shr = ">>" } do
    operator(event, symbol)
  end
  unary_operator("__bnot", "~")
end

inside("arithmetic metamethods that are Lua functions, in one expression", {
  run = function(ask)
    local metatable = {}
    local function value(name) return setmetatable({ name = name }, metatable) end
    metatable.__add = function(x, y)
      local name = ask(x, "+", y)
      return value(name)
    end
    metatable.__mul = function(x, y)
      local name = ask(x, "*", y)
      return value(name)
    end
    local a, b, c = value "a", value "b", value "c"
    return (a + b * c + 1).name
  end,
  answer = function(x, symbol, y) return "(" .. show(x) .. symbol .. show(y) .. ")" end,
  gives = { "((a+(b*c))+1)" },
})

-- Lua 5.4.0 to 5.4.4 crash, with or without coro, where a __concat makes the Lua stack grow: called
-- by a function with this many registers it has no need to.
local with_wide_frame = compile(([[
  local f, a = ...
  do local %s end
  local x, y, z = f(a)
  return x, y, z
]]):format(("_, "):rep(150) .. "_"))

inside("__concat, several in one expression", {
  run = function(ask)
    return with_wide_frame(function()
      local a, b = named("a", "__concat", ask), named("b", "__concat", ask)
      return a .. "x" .. b, "x" .. "y" .. a .. "z" .. "w", 1 .. b
    end)
  end,
  answer = function(x, y) return "(" .. show(x) .. "|" .. show(y) .. ")" end,
  gives = { "(a|(x|b))", "xy(a|zw)", "(1|b)" },
})

inside("__eq", {
  run = function(ask)
    local metatable = { __eq = ask }
    local a, b = setmetatable({ name = 1 }, metatable), setmetatable({ name = 2 }, metatable)
    local c = setmetatable({ name = 1 }, metatable)
    local chosen = "unequal"
    if a == c then chosen = "equal" end
    return a == b, a == c, a ~= b, a ~= c, a == a, chosen -- luacheck: ignore
  end,
  answer = function(x, y) return x.name == y.name end,
  gives = { false, true, true, false, true, "equal" },
})

inside("__lt", {
  run = function(ask)
    local metatable = { __lt = ask }
    local a, b = setmetatable({ name = 1 }, metatable), setmetatable({ name = 2 }, metatable)
    local n, chosen = 0, "not less"
    if a < b then chosen = "less" end
    while a < b and n < 2 do n = n + 1 end
    repeat n = n + 10 until not (b < a) -- luacheck: ignore
    return a < b, b < a, a > b, b > a, not (a < b), chosen, n -- luacheck: ignore
  end,
  answer = less,
  gives = { true, false, false, true, false, "less", 12 },
})

inside("__le", {
  run = function(ask)
    local metatable = { __le = ask }
    local a, b = setmetatable({ name = 1 }, metatable), setmetatable({ name = 2 }, metatable)
    local chosen = "greater"
    if a <= b then chosen = "less" end
    return a <= b, b <= a, a >= b, b >= a, a <= a, not (a <= b), chosen -- luacheck: ignore
  end,
  answer = function(x, y) return x.name <= y.name end,
  gives = { true, false, false, true, true, false, "less" },
})

if version < 5.4 then
  inside("__lt in the place of __le", {
    run = function(ask)
      local metatable = { __lt = ask }
      local a, b = setmetatable({ name = 1 }, metatable), setmetatable({ name = 2 }, metatable)
      local chosen = "greater"
      if a <= b then chosen = "less" end
      return a <= b, b <= a, a >= b, not (b <= a), chosen -- luacheck: ignore
    end,
    answer = less,
    gives = { true, false, false, true, "less" },
  })
end

inside("__lt, called by table.sort", {
  run = function(ask)
    local metatable = { __lt = ask }
    local t = {}
    for i, n in ipairs { 4, 2, 5, 1, 3 } do t[i] = setmetatable({ name = n }, metatable) end
    table.sort(t)
    return show_all(unpack(t))
  end,
  answer = less,
  gives = { "1,2,3,4,5" },
})

inside("__index", {
  run = function(ask)
    local a = named("a", "__index", ask)
    local key = "computed"
    return a.field, a[1], a[key], a.name
  end,
  answer = function(t, k) return show(t) .. "." .. show(k) end,
  gives = { "a.field", "a.1", "a.computed", "a" },
})

inside("__index of a table that is an __index, and of methods", {
  run = function(ask)
    local base = named("base", "__index", function(t, k)
      local answer = ask(t, k)
      return function(self, x) return answer .. show(self) .. x .. ask(self, x) end
    end)
    local between = setmetatable({}, { __index = base })
    local derived = setmetatable({ name = "derived" }, { __index = between })
    return derived:method "!"
  end,
  answer = function(t, k) return "[" .. show(t) .. "." .. show(k) .. "]" end,
  gives = { "[base.method]derived![derived.!]" },
})

inside("__newindex", {
  run = function(ask)
    local stored = {}
    local a = named("a", "__newindex", function(t, k, v)
      local key = ask(t, k, v)
      rawset(stored, key, v)
    end)
    a.x = 1
    a.y, a.z = 2, 3
    a[4] = "four"
    return stored["a.x"], stored["a.y"], stored["a.z"], stored["a.4"], rawget(a, "x")
  end,
  answer = function(t, k) return show(t) .. "." .. show(k) end,
  gives = { 1, 2, 3, "four" },
})

inside("__newindex, being it", {
  run = function(ask)
    local a = named("a", "__newindex", ask)
    a.x = 1
    a[2] = nil
    return rawget(a, "x"), "done"
  end,
  answer = function(...) return ... end,
  gives = { nil, "done" },
})

inside("__index and __newindex of globals", {
  run = function(ask)
    local environment = setmetatable({ name = "globals" }, {
      __index = ask,
      __newindex = function(t, k, v) rawset(t, k, v .. ask(t, k)) end,
    })
    local chunk = compile("x = y x = x .. z return x, undefined()", environment)
    rawset(environment, "undefined", function() return "called" end)
    return chunk()
  end,
  answer = function(_, k) return "<" .. k .. ">" end,
  gives = { "<y><x><z>", "called" },
})

inside("__call", {
  run = function(ask)
    local a = named("a", "__call", ask)
    local function tail(...) return a(...) end
    local got = {}
    for x in a do got[#got + 1] = x end
    return a(1, nil), tail "t", #got, pcall(a, "p")
  end,
  answer = function(self, ...)
    if ... == nil then return nil end
    return show(self) .. "(" .. show_all(...) .. ")"
  end,
  gives = { "a(1,nil)", "a(t)", 0, true, "a(p)" },
})

inside("__call of the callable of a callable", {
  run = function(ask)
    local inner = named("inner", "__call", function(self, ...) return ask(self, ...) end)
    local outer = named("outer", "__call", function(_, ...) return (inner(...)) end)
    return outer(1, 2), (outer())
  end,
  answer = show_all,
  gives = { "inner,1,2", "inner" },
})

inside("__tostring", {
  run = function(ask) return tostring(named("a", "__tostring", ask)), "next" end,
  answer = function(a) return "<" .. show(a) .. ">" end,
  gives = { "<a>", "next" },
})

if version >= 5.2 or jit then
  inside("__tostring, called by string.format", {
    run = function(ask)
      local a, b = named("a", "__tostring", ask), named("b", "__tostring", ask)
      return ("%s and %s"):format(a, b)
    end,
    answer = function(a) return "<" .. show(a) .. ">" end,
    gives = { "<a> and <b>" },
  })
end

if version >= 5.2 then
  inside("__len", {
    run = function(ask)
      local a = named("a", "__len", ask)
      return #a, #a + 1
    end,
    answers = { 5, 6 },
    gives = { 5, 7 },
  })
  inside("__len, called by table functions", {
    run = function(ask)
      local t = setmetatable({ "a", "b", "c" }, { __len = ask })
      return table.concat(t, " "), unpack(t)
    end,
    answers = { 2, 3 },
    gives = { "a b", "a", "b", "c" },
  })
  inside("__pairs", {
    run = function(ask)
      local got = {}
      for k, v in pairs(named("a", "__pairs", ask)) do got[#got + 1] = k .. v end
      return table.concat(got)
    end,
    answer = function(a) return next, { [show(a)] = 1 }, nil end,
    gives = { "a1" },
  })
  inside("a Lua function that is __pairs, and the iterator that it returns", {
    run = function(ask)
      local got = {}
      local a = named("a", "__pairs", function(t)
        local last = ask(show(t))
        return function(_, i) if i < last then return i + 1, ask(i) end end, t, 0
      end)
      for i, v in pairs(a) do got[#got + 1] = i .. v end
      return table.concat(got, " ")
    end,
    answer = function(x) return x == "a" and 3 or "v" .. x end,
    gives = { "1v0 2v1 3v2" },
  })
elseif new_proxy then
  inside("__len of a userdata", {
    run = function(ask)
      local proxy = new_proxy(true)
      getmetatable(proxy).__len = ask
      return #proxy, #proxy + 1
    end,
    answers = { 5, 6 },
    gives = { 5, 7 },
  })
end

if version == 5.2 then
  inside("__ipairs", {
    run = function(ask)
      local got = {}
      for i, v in ipairs(named("a", "__ipairs", ask)) do got[#got + 1] = i .. v end
      return table.concat(got)
    end,
    answer = function(a)
      return function(_, i) if i == 0 then return 1, show(a) end end, nil, 0
    end,
    gives = { "1a" },
  })
end

if version >= 5.3 then
  inside("__index, called by table functions and ipairs", {
    run = function(ask)
      local t = setmetatable({}, {
        __index = function(_, i) return ask(i) end,
        __len = function() return 3 end,
      })
      local got = {}
      for i, v in ipairs(t) do got[#got + 1] = i .. v end
      local moved = table.move(t, 1, 2, 1, {})
      return table.concat(t, " "), table.concat(got, " "), moved[1], moved[2], table.unpack(t)
    end,
    answer = function(i) return i < 4 and "v" .. i or nil end,
    gives = { "v1 v2 v3", "1v1 2v2 3v3", "v1", "v2", "v1", "v2", "v3" },
  })
  inside("__newindex, called by table functions", {
    run = function(ask)
      local stored = {}
      local t = setmetatable({}, { __newindex = function(_, i, v) stored[i] = ask(i, v) end })
      table.insert(t, "a")
      table.move({ "x", "y" }, 1, 2, 5, t)
      return stored[1], stored[5], stored[6]
    end,
    answer = function(i, v) return v .. i end,
    gives = { "a1", "x5", "y6" },
  })
end

if version >= 5.4 then
  local function closing(name, body)
    inside("__close, " .. name, {
      run = function(ask)
        local closed = {}
        local function new(called)
          return named(called, "__close", function(value, err)
            local answer = ask(value, err)
            closed[#closed + 1] = answer
          end)
        end
        local got = pack(compile(body)(new, named))
        got[got.n + 1] = table.concat(closed, " ")
        return unpack(got, 1, got.n + 1)
      end,
      answer = function(value, err) return show(value) .. ":" .. show(err) end,
      gives = ({
        ["at the end of a block"] = { 3, "b:nil a:nil" },
        ["with results on their way out"] = { 1, nil, 3, "b:nil a:nil" },
        ["at a break and a goto"] = { 2, "a1:nil a2:nil g:nil" },
        ["of a loop's closing value"] = { 1, "loop:nil" },
        ["with an error on its way out"] = { false, "failed", "b:failed a:failed" },
      })[name],
    })
  end
  closing("at the end of a block", [[
    local new = ...
    local n = 1
    do
      local a <close> = new "a"
      local b <close> = new "b"
      n = n + 1
    end
    return n + 1
  ]])
  closing("with results on their way out", [[
    local new = ...
    local function f()
      local a <close> = new "a"
      local b <close> = new "b"
      return 1, nil, 3
    end
    return f()
  ]])
  closing("at a break and a goto", [[
    local new = ...
    local n = 0
    while true do
      n = n + 1
      local a <close> = new("a" .. n)
      if n == 2 then break end
    end
    do
      local g <close> = new "g"
      goto out
    end
    ::out::
    return n
  ]])
  closing("of a loop's closing value", [[
    local new = ...
    local n = 0
    for i in function(_, i) return i + 1 end, nil, 0, new "loop" do
      n = n + i
      break
    end
    return n
  ]])
  closing("with an error on its way out", [[
    local new = ...
    return pcall(function()
      local a <close> = new "a"
      local b <close> = new "b"
      error("failed", 0)
    end)
  ]])
  inside("__close, being it", {
    run = function(ask)
      return compile [[
        local value = ...
        local function f()
          local a <close> = value
          return "result"
        end
        return f(), pcall(function()
          local a <close> = value
          error("failed", 0)
        end)
      ]](named("a", "__close", ask))
    end,
    answer = function() end,
    gives = { "result", false, "failed" },
  })
  inside("__close, when coro.close ends a thread", {
    only_transfer = true,
    run = function(ask)
      local thread = coro.create(function(value)
        compile [[
          local value, yield = ...
          local a <close> = value
          yield "open"
        ]](value, coro.yield)
      end)
      local closed
      local a = named("a", "__close", function(value) closed = ask(value) end)
      local _, yielded = coro.resume(thread, a)
      return yielded, coro.close(thread), coro.status(thread), closed
    end,
    answer = function(a) return "closed " .. show(a) end,
    gives = { "open", true, "dead", "closed a" },
  })
  inside("__close, when a wrap function's thread failed", {
    only_transfer = true,
    run = function(ask)
      local closed
      local f = coro.wrap(compile [[
        local value = ...
        local a <close> = value
        error({ name = "failed" })
      ]])
      local ok, err = pcall(f, named("a", "__close", function(value, e) closed = ask(value, e) end))
      return ok, err, closed
    end,
    answer = show_all,
    gives = { false, { name = "failed" }, "a,failed" },
  })
end

-- Hot loops: LuaJIT compiles them, with the calls of coro in the middle ------------------------

local rounds = 300
local hot_places = {}
local function inside_hot(name, body, expected)
  hot_places[#hot_places + 1] = {
    name = "a hot loop around " .. name,
    run = function(ask)
      local sum = 0
      for i = 1, rounds do sum = sum + body(ask, i) end
      return sum
    end,
    answer = function(_, x) return x * 2 end,
    gives = { expected or rounds * (rounds + 1) },
  }
end

inside_hot("the call itself", function(ask, i) return ask(nil, i) end)
inside_hot("__index", function(ask, i) return setmetatable({}, { __index = ask })[i] end)
inside_hot("__add", function(ask, i) return setmetatable({}, { __add = ask }) + i end)
inside_hot("__call", function(ask, i) return setmetatable({}, { __call = ask })(i) end)
inside_hot("__lt", function(ask, i)
  local a = setmetatable({}, { __lt = function(_, b) return ask(nil, b[1]) == 2 * i end })
  local b = setmetatable({ i }, getmetatable(a))
  return a < b and 2 * i or 0
end)
inside_hot("__newindex", function(ask, i)
  local stored
  setmetatable({}, { __newindex = function(_, k, v) stored = ask(k, v) end }).key = i
  return stored
end)
inside_hot("pcall", function(ask, i)
  local ok, x = pcall(ask, nil, i)
  return ok and x
end)
inside_hot("an error that pcall catches", function(ask, i)
  local ok, x = pcall(function() error(ask(nil, i), 0) end)
  return not ok and x
end)
inside_hot("string.gsub", function(ask, i)
  return (tostring(i):gsub("%d+", function(digits) return ask(nil, digits) end)) + 0
end)
inside_hot("table.sort", function(ask, i)
  local sum = 0
  table.sort({ 1, 2 }, function() sum = ask(nil, i) return false end)
  return sum
end)
inside_hot("an iterator", function(ask, i)
  local sum = 0
  for x in function(_, last) if last == 0 then return ask(nil, i) end end, nil, 0 do
    sum = sum + x
  end
  return sum
end)
inside_hot("a standard coroutine", function(ask, i)
  return standard.wrap(function() return ask(nil, i) end)()
end)
hot_places[#hot_places].only_transfer = true
inside_hot("a generator", function(ask, i)
  local sum = 0
  for x in coro.wrap(function() coro.yield(ask(nil, i)) end) do sum = sum + x end
  return sum
end)
hot_places[#hot_places].only_transfer = true

-- Driving them ---------------------------------------------------------------------------------

local function answers_of(place)
  if place.answer then return place.answer end
  local i = 0
  return function()
    i = i + 1
    return place.answers[i]
  end
end

-- A walk is one thread in a place. `step` answers the last question and goes on to the next; it
-- returns false when there is none any more.
local finished = {}

local function new_walk(place)
  return { place = place, answer = answers_of(place), asked = {}, reply = pack() }
end

local function take_question(walk, ...)
  walk.asked[#walk.asked + 1] = show_all(...)
  walk.reply = pack(walk.answer(...))
  return true
end

local function walk_without_switching(place)
  local walk = new_walk(place)
  walk.results = pack(place.run(function(...)
    take_question(walk, ...)
    return unpack(walk.reply, 1, walk.reply.n)
  end))
  return walk
end

local function walk_by_yield(place)
  local walk = new_walk(place)
  local thread = coro.create(function()
    walk.results = pack(place.run(coro.yield))
    return finished
  end)
  function walk.step()
    local got = pack(coro.resume(thread, unpack(walk.reply, 1, walk.reply.n)))
    if not got[1] then error(tostring(got[2]) .. "\n" .. tostring(got[3]), 0) end
    if rawequal(got[2], finished) then return false end
    return take_question(walk, unpack(got, 2, got.n))
  end
  return walk
end

local function make_transferring(walk)
  local function ask(...)
    walk.thread = coro.current()
    return coro.transfer(nil, ...)
  end
  function walk.step()
    local got = pack(coro.transfer(walk.thread, unpack(walk.reply, 1, walk.reply.n)))
    if rawequal(got[1], finished) then
      walk.thread = nil
      return false
    end
    return take_question(walk, unpack(got, 1, got.n))
  end
  return ask
end

local function walk_by_transfer(place)
  local walk = new_walk(place)
  local ask = make_transferring(walk)
  walk.thread = coro.create(function()
    walk.results = pack(place.run(ask))
    coro.transfer(nil, finished)
  end)
  return walk
end

local function walk_nested_in_standard(place)
  local walk = new_walk(place)
  local ask = make_transferring(walk)
  walk.thread = coro.create(function()
    standard.wrap(function() walk.results = pack(place.run(ask)) end)()
    coro.transfer(nil, finished)
  end)
  return walk
end

local function walk_in_main(place)
  local walk = new_walk(place)
  local asker
  local worker = coro.create(function(...)
    take_question(walk, ...)
    while true do
      take_question(walk, coro.transfer(asker, unpack(walk.reply, 1, walk.reply.n)))
    end
  end)
  walk.results = pack(place.run(function(...)
    asker = coro.current()
    return coro.transfer(worker, ...)
  end))
  return walk
end

-- Threads that go on to one another, and to main at the very end. Each gives the next one its
-- answer.
local function walk_in_a_ring(place, n)
  local walks = {}
  local function next_after(i)
    for k = i, i + n - 1 do
      local walk = walks[k % n + 1]
      if not walk.is_over then return walk end
    end
    return { reply = pack() }
  end
  for i = 1, n do
    local walk = new_walk(place)
    local function ask(...)
      walk.thread = coro.current()
      take_question(walk, ...)
      local other = next_after(i)
      if other == walk then return unpack(walk.reply, 1, walk.reply.n) end
      return coro.transfer(other.thread, unpack(other.reply, 1, other.reply.n))
    end
    walk.thread = coro.create(function()
      walk.results = pack(place.run(ask))
      walk.is_over = true
      local other = next_after(i)
      coro.transfer(other.thread, unpack(other.reply, 1, other.reply.n))
    end)
    walks[i] = walk
  end
  coro.transfer(walks[1].thread)
  return walks
end

local function run_to_end(walk)
  while walk.step() do end
  return walk
end

-- Steps of all walks in turn, until all are over.
local function take_turns(walks, between)
  local going = #walks
  while going > 0 do
    for _, walk in ipairs(walks) do
      if not walk.is_over then
        between()
        walk.is_over = not walk.step()
        if walk.is_over then going = going - 1 end
      end
    end
  end
end

local function check(place, walk)
  local expected = { n = walk.results.n, unpack(place.gives, 1, walk.results.n) }
  assert.are.same(expected, walk.results)
  assert.is_true(walk.results.n >= #place.gives)
  local reference = walk_without_switching(place)
  assert.are.same(reference.results, walk.results)
  assert.are.same(reference.asked, walk.asked)
  assert.is_true(#walk.asked > 0)
end

local function walks_of(place)
  local walks = {
    walk_by_transfer(place), walk_nested_in_standard(place), walk_by_transfer(place),
  }
  if not place.only_transfer then
    table.insert(walks, 1, walk_by_yield(place))
    table.insert(walks, walk_by_yield(place))
  end
  return walks
end

describe("a coroutine can be left", function()
  fixture.leaves_nothing(before_each, after_each)

  local path_before
  before_each(function()
    path_before = package.path
    local temporary = os.tmpname()
    os.remove(temporary)
    package.path = temporary:match "^(.*/)" .. "?;" .. package.path
  end)
  after_each(function() package.path = path_before end)

  local function walks_through(place)
    if not place.only_transfer then
      it("by yield", function() check(place, run_to_end(walk_by_yield(place))) end)
    end

    it("by transfer", function() check(place, run_to_end(walk_by_transfer(place))) end)

    it("by transfer out of a nested standard coroutine",
       function() check(place, run_to_end(walk_nested_in_standard(place))) end)

    it("by transfer out of main", function() check(place, walk_in_main(place)) end)

    it("by threads that transfer to each other", function()
      local walks = walk_in_a_ring(place, 3)
      for _, walk in ipairs(walks) do check(place, walk) end
    end)

    it("by several threads in turn", function()
      local walks = walks_of(place)
      take_turns(walks, function() end)
      for _, walk in ipairs(walks) do check(place, walk) end
    end)
  end

  for _, place in ipairs(places) do
    describe("inside " .. place.name .. ",", function()
      walks_through(place)

      it("by several threads in turn, with a full collection at every switch", function()
        local walks = walks_of(place)
        take_turns(walks, collectgarbage)
        for _, walk in ipairs(walks) do check(place, walk) end
      end)
    end)
  end

  for _, place in ipairs(hot_places) do
    describe("inside " .. place.name .. ",", function() walks_through(place) end)
  end
end)

-- The functions of coro themselves in the place of a callback -----------------------------------

describe("as a callback,", function()
  fixture.leaves_nothing(before_each, after_each)
  after_each(function() debug.setmetatable(coro.main, nil) end)

  -- Threads that answer what they are transferred to with `answer`, by transferring to main.
  local function new_answerer(answer)
    return coro.create(function(...)
      local got = pack(...)
      while true do got = pack(coro.transfer(nil, answer(unpack(got, 1, got.n)))) end
    end)
  end

  local function in_thread(f)
    local results
    local thread = coro.create(function()
      results = pack(f())
      return finished
    end)
    return function(...)
      local got = pack(coro.resume(thread, ...))
      assert.is_true(got[1], got[2])
      if got[2] == finished then return finished, unpack(results, 1, results.n) end
      return unpack(got, 2, got.n)
    end
  end

  it("transfer compares threads for table.sort", function()
    local rank, asked = {}, 0
    local threads = {}
    for i, n in ipairs { 3, 1, 4, 2 } do
      local thread
      thread = new_answerer(function(other)
        asked = asked + 1
        return rank[thread] < rank[other]
      end)
      threads[i], rank[thread] = thread, n
    end
    table.sort(threads, coro.transfer)
    local order = {}
    for i, thread in ipairs(threads) do order[i] = rank[thread] end
    assert.are.same({ 1, 2, 3, 4 }, order)
    assert.is_true(asked >= 3)
  end)

  it("transfer is the iterator of a generic for, whose state is main", function()
    local thread = coro.create(function()
      local got = {}
      for i, name in coro.transfer, nil, 0 do got[#got + 1] = i .. name end
      coro.transfer(nil, "end", table.concat(got, " "))
    end)
    assert.are.equal(0, coro.transfer(thread))
    assert.are.equal(1, coro.transfer(thread, 1, "a"))
    assert.are.equal(2, coro.transfer(thread, 2, "b"))
    assert.are.same({ n = 2, "end", "1a 2b" }, pack(coro.transfer(thread, nil)))
  end)

  it("transfer is the iterator of a generic for, whose state is a thread", function()
    local squares = new_answerer(function(i) if i < 3 then return i + 1, (i + 1) ^ 2 end end)
    local got = {}
    for i, square in coro.transfer, squares, 0 do got[i] = square end
    assert.are.same({ 1, 4, 9 }, got)
  end)

  it("transfer is a load reader, which reads from main", function()
    local results
    local thread = coro.create(function()
      results = pack(assert(load(coro.transfer))(5))
      coro.transfer(nil, finished)
    end)
    assert.are.same({ n = 0 }, pack(coro.transfer(thread)))
    coro.transfer(thread, "return ")
    coro.transfer(thread, "... * 2")
    assert.are.equal(finished, coro.transfer(thread, nil))
    assert.are.same({ n = 1, 10 }, results)
  end)

  it("transfer is called by pcall", function()
    local thread = coro.create(function(...)
      coro.transfer(nil, "inside", pcall(coro.transfer, nil, ...))
    end)
    assert.are.same({ n = 2, "out", nil }, pack(coro.transfer(thread, "out", nil)))
    assert.are.same({ n = 4, "inside", true, 1, nil }, pack(coro.transfer(thread, 1, nil)))
  end)

  it("transfer, called by pcall with what it refuses, gives its error", function()
    local ok, err = pcall(coro.transfer, "no thread")
    assert.is_false(ok)
    assert.matches("thread or nil expected, got string", err)
  end)

  it("transfer is a metamethod of threads", function()
    local greeter = new_answerer(function(...) return "<" .. show_all(...) .. ">" end)
    debug.setmetatable(coro.main, { -- of all threads
      __index = coro.transfer,
      __newindex = coro.transfer,
      __call = coro.transfer,
      __add = coro.transfer,
      __concat = coro.transfer,
      __tostring = coro.transfer,
    })
    local called
    local thread = coro.create(function()
      called = pack(greeter.field, greeter(1, 2), greeter + 3, greeter .. "s", tostring(greeter))
      greeter.x = 5
      coro.transfer(nil, finished)
    end)
    -- The answers come to main, which hands them on.
    local answers, given = {}, pack(coro.transfer(thread))
    while given[1] ~= finished do
      answers[#answers + 1] = given[1]
      given = pack(coro.transfer(thread, #answers == 5 and "text" or #answers))
    end
    assert.are.same({ "<field>", "<1,2>", "<3>", "<s>", "<>", "<x,5>" }, answers)
    assert.are.same({ n = 5, 1, 2, 3, 4, "text" }, called)
  end)

  it("yield is the body of a thread", function()
    local thread = coro.create(coro.yield)
    assert.are.same({ n = 4, true, 1, nil, 3 }, pack(coro.resume(thread, 1, nil, 3)))
    assert.are.equal("suspended", coro.status(thread))
    assert.are.same({ n = 3, true, "a", nil }, pack(coro.resume(thread, "a", nil)))
    assert.are.equal("dead", coro.status(thread))
  end)

  it("yield is the body of a wrap function", function()
    local f = coro.wrap(coro.yield)
    assert.are.same({ n = 2, 1, 2 }, pack(f(1, 2)))
    assert.are.same({ n = 1, 3 }, pack(f(3)))
    assert.is_false((pcall(f)))
  end)

  it("transfer is the body of a thread", function()
    local thread = coro.create(coro.transfer)
    assert.are.same({ n = 2, "to main", nil }, pack(coro.transfer(thread, nil, "to main", nil)))
    assert.are.equal("suspended", coro.status(thread))
    assert.are.same({ n = 3, true, "end", nil }, pack(coro.resume(thread, "end", nil)))
    assert.are.equal("dead", coro.status(thread))
  end)

  it("resume is the body of a thread", function()
    local inner = coro.create(function(x) return coro.yield(x + 1) end)
    local outer = coro.create(coro.resume)
    assert.are.same({ n = 3, true, true, 6 }, pack(coro.resume(outer, inner, 5)))
    assert.are.equal("dead", coro.status(outer))
    assert.are.same({ n = 2, true, 7 }, pack(coro.resume(inner, 7)))
  end)

  it("table.sort is the body of a thread, its comparator yield", function()
    local t = { 3, 1, 2 }
    local thread = coro.create(table.sort)
    local got = pack(coro.resume(thread, t, coro.yield))
    while coro.status(thread) ~= "dead" do got = pack(coro.resume(thread, got[2] < got[3])) end
    assert.are.same({ n = 1, true }, got)
    assert.are.same({ 1, 2, 3 }, t)
  end)

  it("string.gsub is the body of a thread, its callback yield", function()
    local thread = coro.create(string.gsub)
    local got = pack(coro.resume(thread, "ab", "%w", coro.yield))
    while coro.status(thread) ~= "dead" do got = pack(coro.resume(thread, got[2]:upper())) end
    assert.are.same({ n = 3, true, "AB", 2 }, got)
  end)

  it("pcall is the body of a thread, its function yield", function()
    local thread = coro.create(pcall)
    assert.are.same({ n = 2, true, "out" }, pack(coro.resume(thread, coro.yield, "out")))
    assert.are.same({ n = 4, true, true, "back", nil }, pack(coro.resume(thread, "back", nil)))
  end)

  it("load is the body of a thread, its reader yield", function()
    local thread = coro.create(load)
    assert.are.same({ n = 1, true }, pack(coro.resume(thread, coro.yield)))
    assert.are.same({ n = 1, true }, pack(coro.resume(thread, "return 6")))
    local ok, chunk = coro.resume(thread, "")
    assert.is_true(ok)
    assert.are.equal(6, chunk())
  end)

  it("a wrap function is a comparator, a gsub callback, an iterator and a metamethod", function()
    local function server(answer)
      return coro.wrap(function(...)
        local got = pack(...)
        while true do got = pack(coro.yield(answer(unpack(got, 1, got.n)))) end
      end)
    end
    local step = in_thread(function()
      local t = { 2, 3, 1 }
      table.sort(t, server(function(a, b) return a < b end))
      local shouted = ("ab"):gsub("%w", server(string.upper))
      local counted = {}
      for i in server(function(_, i) return i < 2 and i + 1 or nil end), nil, 0 do
        counted[#counted + 1] = i
      end
      coro.yield "half"
      local sum = setmetatable({}, { __add = server(function(_, n) return n + 1 end) })
      local indexed = setmetatable({}, { __index = server(function(_, k) return k .. k end) })
      return t[1], t[2], t[3], shouted, #counted, sum + 1, sum + 2, indexed.a, indexed.b
    end)
    assert.are.equal("half", step())
    assert.are.same({ n = 10, finished, 1, 2, 3, "AB", 2, 2, 3, "aa", "bb" }, pack(step()))
  end)

  it("resume is called by table.sort and pcall while the resumed thread transfers", function()
    local t, hops = { 2, 3, 1 }, 0
    local comparer = coro.create(function(a, b)
      while true do
        coro.transfer(nil, "asked")
        a, b = coro.yield(a < b)
      end
    end)
    local thread = coro.create(function()
      table.sort(t, function(a, b)
        local _, resumed, answer = pcall(coro.resume, comparer, a, b)
        return resumed and answer
      end)
      coro.transfer(nil, finished)
    end)
    local got = coro.transfer(thread)
    while got ~= finished do
      assert.are.equal("asked", got)
      assert.are.equal("normal", coro.status(thread))
      hops = hops + 1
      got = coro.transfer(comparer)
    end
    assert.are.same({ 1, 2, 3 }, t)
    assert.is_true(hops >= 2)
  end)
end)

describe("two threads that require one module at once", function()
  fixture.leaves_nothing(before_each, after_each)
  after_each(function()
    package.preload["anywhere.shared"], package.loaded["anywhere.shared"] = nil, nil
  end)

  local function require_in_two_threads()
    local loads = 0
    package.preload["anywhere.shared"] = function()
      loads = loads + 1
      coro.yield "loading"
      return "module"
    end
    local function requiring() return pcall(require, "anywhere.shared") end
    local first, second = coro.create(requiring), coro.create(requiring)
    assert.are.same({ n = 2, true, "loading" }, pack(coro.resume(first)))
    local got = pack(coro.resume(second))
    return first, second, got, function() return loads end
  end

  if version == 5.1 then
    it("get 5.1's error in the second and the module in the first", function()
      local first, _, got, loads = require_in_two_threads()
      assert.is_false(got[2])
      assert.matches("loop or previous error loading module 'anywhere.shared'", got[3])
      assert.are.same({ n = 3, true, true, "module" }, pack(coro.resume(first)))
      assert.are.equal(1, loads())
      assert.are.equal("module", require "anywhere.shared")
    end)
  else
    it("both load it", function()
      local first, second, got, loads = require_in_two_threads()
      assert.are.same({ n = 2, true, "loading" }, got)
      assert.are.equal("module", select(3, coro.resume(second)))
      assert.are.equal("module", select(3, coro.resume(first)))
      assert.are.equal(2, loads())
      assert.are.equal("module", require "anywhere.shared")
    end)
  end
end)
