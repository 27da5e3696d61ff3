// What lies under the Lua functions: the raw switch of Boost.Context, the switch that this build
// uses, C stacks, and a transfer between two C functions, without any bytecode.
#include <benchmark/benchmark.h>

#include <boost/context/detail/fcontext.hpp>

#include "base/lua_version.h"
#include "stacks/c_stack.h"
#include "switch/context.h"
#include "threads/carriers.h"
#include "threads/runtime.h"

extern "C" int luaopen_coro(lua_State* L);

namespace luacoro {
namespace {

constexpr std::size_t stack_size = std::size_t{1} << 20;

void boost_switch(benchmark::State& state) {
  namespace context = boost::context::detail;
  const c_stack stack = c_stack::map(stack_size, 1);
  context::fcontext_t there =
      context::make_fcontext(stack.start(), stack.size(), [](context::transfer_t from) {
        for (;;) from = context::jump_fcontext(from.fctx, nullptr);
      });
  for (auto _ : state) there = context::jump_fcontext(there, nullptr).fctx;
  state.SetItemsProcessed(2 * state.iterations());
}
BENCHMARK(boost_switch)->Name("Boost.Context: there and back");

struct pair_of_contexts {
  context here, there;
};

void our_switch(benchmark::State& state) {
  const c_stack stack = c_stack::map(stack_size, 1);
  pair_of_contexts both;
  prepare_context(
      both.there, stack,
      [](void* argument) {
        auto& contexts = *static_cast<pair_of_contexts*>(argument);
        for (;;) switch_context(contexts.there, contexts.here);
      },
      &both);
  for (auto _ : state) switch_context(both.here, both.there);
}
BENCHMARK(our_switch)->Name("switch_context: there and back");

void map_stack(benchmark::State& state) {
  for (auto _ : state) benchmark::DoNotOptimize(c_stack::map(stack_size, 1).start());
}
BENCHMARK(map_stack)->Name("C stack: map and unmap");

// Of a pool that has idle ones.
void take_stack(benchmark::State& state) {
  lua_State* L = luaL_newstate();
  luaL_openlibs(L);
  lua_pushcfunction(L, luaopen_coro);
  lua_call(L, 0, 1);
  runtime& rt = runtime_of_universe(L);
  if (rt.pool.grow(stack_size) != carriers::growth::grown) state.SkipWithError("no C stack");
  for (auto _ : state) rt.pool.put_idle(*rt.pool.take(), 1);
  lua_close(L);
}
BENCHMARK(take_stack)->Name("C stack: take from the pool and put back");

// body(transfer, other thread or nil): transfers for ever.
int transfer_for_ever(lua_State* L) {
  for (;;) {
    lua_pushvalue(L, lua_upvalueindex(1));
    lua_rawgeti(L, lua_upvalueindex(2), 1);
    lua_call(L, 1, 0);
  }
}

// Two threads whose bodies are C functions; 1,000 hops between them for each iteration, counted by
// the one that goes back to main.
int transfer_counted(lua_State* L) {
  for (;;) {
    for (int i = 0; i < 500; ++i) {
      lua_pushvalue(L, lua_upvalueindex(1));
      lua_rawgeti(L, lua_upvalueindex(2), 2);
      lua_call(L, 1, 0);
    }
    lua_pushvalue(L, lua_upvalueindex(1));
    lua_pushnil(L);
    lua_call(L, 1, 0);
  }
}

void native_transfer(benchmark::State& state) {
  lua_State* L = luaL_newstate();
  luaL_openlibs(L);
  lua_pushcfunction(L, luaopen_coro);
  lua_call(L, 0, 1);                  // 1: coro
  lua_getfield(L, 1, "transfer");     // 2
  lua_createtable(L, 2, 0);           // 3: both threads
  for (lua_CFunction body : {transfer_counted, transfer_for_ever}) {
    lua_getfield(L, 1, "create");
    lua_pushvalue(L, 2);
    lua_pushvalue(L, 3);
    lua_pushcclosure(L, body, 2);
    lua_call(L, 1, 1);
    lua_rawseti(L, 3, static_cast<int>(lua::raw_length(L, 3)) + 1);
  }
  for (auto _ : state) {
    lua_pushvalue(L, 2);
    lua_rawgeti(L, 3, 1);
    lua_call(L, 1, 0);
  }
  lua_close(L);
}
BENCHMARK(native_transfer)->Name("transfer, called from C: 1,000 hops");

}  // namespace
}  // namespace luacoro
