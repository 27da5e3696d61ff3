#include "abi/abi.h"

#include <new>

#include "module/edge.h"

namespace luacoro {

int call_for(const luacoro_abi* coro, lua_State* L, abi::function which, lua_State* to, int n) {
  const int base = lua_gettop(L) - n;
  insert_function(abi_of(coro), L, which, n);
  if (to != nullptr) {
    push_thread(L, to);
  } else {
    lua_pushnil(L);
  }
  if (n > 0) lua_insert(L, -n - 1);
  lua_call(L, n + 1, LUA_MULTRET);
  return lua_gettop(L) - base;
}

namespace {

// call_for, for results that begin with a status, which is returned.
int call_for_status(const luacoro_abi* coro, lua_State* L, abi::function which, lua_State* to,
                    int n, int* r) {
  const int results = call_for(coro, L, which, to, n);
  const int status = lua_toboolean(L, -results);
  lua_remove(L, -results);
  if (r != nullptr) *r = results - 1;
  return status;
}

lua_State* create(const luacoro_abi* coro, lua_State* L) {
  insert_function(abi_of(coro), L, abi::create, 1);
  lua_call(L, 1, 1);
  return lua_tothread(L, -1);
}

lua_State* current(const luacoro_abi*, lua_State* L) {
  const bool is_main = lua_pushthread(L) != 0;
  lua_pop(L, 1);
  return is_main ? nullptr : L;
}

luacoro_status status(const luacoro_abi* coro, lua_State* L, lua_State* thread) {
  const runtime& rt = *abi_of(coro).rt;
  switch (status_of(rt, L, thread != nullptr ? thread : rt.main)) {
    case status_word::suspended: return LUACORO_SUSPENDED;
    case status_word::running: return LUACORO_RUNNING;
    case status_word::normal: return LUACORO_NORMAL;
    case status_word::dead: break;
  }
  return LUACORO_DEAD;
}

int transfer(const luacoro_abi* coro, lua_State* L, lua_State* to, int n) {
  return call_for(coro, L, abi::transfer, to, n);
}

int ptransfer(const luacoro_abi* coro, lua_State* L, lua_State* to, int n, int* r) {
  return call_for_status(coro, L, abi::ptransfer, to, n, r);
}

int resume(const luacoro_abi* coro, lua_State* L, lua_State* thread, int n, int* r) {
  return call_for_status(coro, L, abi::resume, thread, n, r);
}

int yield(const luacoro_abi* coro, lua_State* L, int n) {
  const int base = lua_gettop(L) - n;
  insert_function(abi_of(coro), L, abi::yield, n);
  lua_call(L, n, LUA_MULTRET);
  return lua_gettop(L) - base;
}

int throw_error(const luacoro_abi* coro, lua_State* L, lua_State* to) {
  return call_for(coro, L, abi::throw_error, to, 1);
}

int close(const luacoro_abi* coro, lua_State* L, lua_State* thread) {
  return call_for_status(coro, L, abi::close, thread, 0, nullptr);
}

int leave(const luacoro_abi* coro, lua_State* L, lua_State* to, int n, const void* mark) {
  return leave_with_mark(L, *abi_of(coro).rt, to, n, mark);
}

const void* mark_of(const luacoro_abi* coro, lua_State* thread) {
  const runtime& rt = *abi_of(coro).rt;
  const place at = find(rt, thread);
  if (at.where > standing::unmounted || at.how != waiting::transfer) return nullptr;
  const int below = size_of_ticket(rt, thread, at) + 1;
  return lua_gettop(thread) >= below ? lua::address_at(thread, -below) : nullptr;
}

struct protected_call {
  luacoro_function f;
  void* data;
};

// Arguments: those of f, and the call.
int call_function(lua_State* L) {
  const auto what = *static_cast<const protected_call*>(lua::address_at(L, -1));
  lua_pop(L, 1);
  return what.f(L, what.data);
}

int protect(const luacoro_abi* coro, lua_State* L, luacoro_function f, void* data, int n) {
  const int base = lua_gettop(L) - n;
  protected_call what{f, data};
  insert_function(abi_of(coro), L, abi::protect, n);
  lua::push_address(L, &what);
  if (lua_pcall(L, n + 1, LUA_MULTRET, 0) != LUA_OK) return -1;
  return lua_gettop(L) - base;
}

// What the module's table has.                                                             [-0, +0]
void take_function(lua_State* L, const abi& self, int module, abi::function where,
                   const char* name) {
  lua_getfield(L, module, name);
  lua_xmove(L, self.functions, 1);
  lua_replace(self.functions, where);
}

// With the runtime and the table as upvalues.                                              [-0, +0]
void make_function(lua_State* L, const abi& self, int runtime_index, abi::function where,
                   lua_CFunction function) {
  lua_pushvalue(L, runtime_index);
  lua_pushvalue(L, -2);
  lua_pushcclosure(L, function, 2);
  lua_xmove(L, self.functions, 1);
  lua_replace(self.functions, where);
}

}  // namespace

void open_abi(lua_State* L, runtime& rt) {
  const int module = lua_gettop(L);
  lua_State* functions = lua_newthread(L);
  put_on_shelf(rt, L, runtime::abi_functions);
  lua_settop(functions, abi::last_function);

  auto& self = *new (lua_newuserdata(L, sizeof(abi))) abi{.table = {}};
  luacoro_abi& table = self.table;
  table.version = LUACORO_ABI_VERSION;
  table.size = sizeof table;
  table.main = rt.main;
  table.create = create;
  table.current = current;
  table.status = status;
  table.transfer = transfer;
  table.ptransfer = ptransfer;
  table.resume = resume;
  table.yield = yield;
  table.throw_error = throw_error;
  table.close = close;
  table.protect = protect;
  table.leave = leave;
  table.mark_of = mark_of;
  fill_in_waiters(table);
  self.rt = &rt;
  self.functions = functions;
  take_function(L, self, module, abi::create, "create");
  take_function(L, self, module, abi::transfer, "transfer");
  take_function(L, self, module, abi::ptransfer, "ptransfer");
  take_function(L, self, module, abi::resume, "resume");
  take_function(L, self, module, abi::yield, "yield");
  take_function(L, self, module, abi::throw_error, "throw");
  take_function(L, self, module, abi::close, "close");
  make_function(L, self, module - 1, abi::suspend, suspend_on_waiter);
  make_function(L, self, module - 1, abi::complete, complete_waiter);
  make_function(L, self, module - 1, abi::protect, call_function);

  // The key is in the registry from now on, so that to set it cannot fail.
  lua_pushboolean(L, 0);
  lua_setfield(L, LUA_REGISTRYINDEX, LUACORO_ABI_KEY);
}

void keep_abi(lua_State* L) { lua_setfield(L, LUA_REGISTRYINDEX, LUACORO_ABI_KEY); }

}  // namespace luacoro
