-- Lua 5.1 and LuaJIT look for modules in the same folders, and each needs its own coro.
return require(jit and "luajit-coro" or "lua51-coro")
