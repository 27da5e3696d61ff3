// No switch allocates: neither Lua's memory nor the C++ library's nor the C library's.
#include <gtest/gtest.h>

#include <string>

#include "hosts/failing_system.h"
#include "hosts/state.h"

namespace luacoro::hosts {
namespace {

// Functions that switch at least n times between threads that have all been suspended before.
constexpr const char* jobs = R"(
  local unpack = table.unpack or unpack
  local values = {}
  for i = 1, 20 do values[i] = i end
  jobs = {}

  -- A ring of threads that hand on so many values; each leaves by `leave(transfer, successor, ...)`.
  local function make_ring(size, count, leave)
    local threads, left = {}, 0
    for i = 1, size do
      threads[i] = coro.create(function()
        while true do
          if i == 1 then
            if left <= 0 then coro.transfer(nil) end
            left = left - size
          end
          leave(coro.transfer, threads[i % size + 1], unpack(values, 1, count))
        end
      end)
    end
    return function(n)
      left = n
      coro.transfer(threads[1])
    end
  end

  local function plainly(transfer, ...) transfer(...) end

  jobs.transfers = make_ring(3, 1, plainly)
  jobs.transfers_without_values = make_ring(3, 0, plainly)
  jobs.transfers_of_twenty_values = make_ring(3, 20, plainly)
  jobs.transfers_of_many_threads = make_ring(700, 1, plainly)
  jobs.transfers_inside_pcall = make_ring(3, 1, pcall)

  -- Suspended inside table.sort once and for all.
  local function pinned(body)
    return function() in_sort(body) end
  end
  local ping, pong
  local left = 0
  ping = coro.create(pinned(function()
    while true do
      if left <= 0 then coro.transfer(nil) end
      left = left - 2
      coro.transfer(pong, left)
    end
  end))
  pong = coro.create(pinned(function()
    while true do coro.transfer(ping, left) end
  end))
  function jobs.transfers_of_pinned_threads(n)
    left = n
    coro.transfer(ping)
  end

  local function count_up()
    local i = 0
    while true do
      i = i + 1
      coro.yield(i, unpack(values))
    end
  end
  local counter = coro.create(count_up)
  function jobs.resume_and_yield(n)
    for i = 1, n, 2 do coro.resume(counter, i, unpack(values)) end
  end
  local step = coro.wrap(count_up)
  function jobs.wrap_and_yield(n)
    for i = 1, n, 2 do step(i, nil) end
  end
  local pinned_step = coro.wrap(pinned(count_up))
  function jobs.steps_of_a_pinned_generator(n)
    for i = 1, n, 2 do pinned_step(i) end
  end

  -- Each passes on what the next one yields.
  local function nest(depth)
    if depth == 0 then return coro.wrap(count_up) end
    local inner = nest(depth - 1)
    return coro.wrap(function()
      while true do coro.yield(inner()) end
    end)
  end
  local outer = nest(3)
  function jobs.steps_of_nested_generators(n)
    for _ = 1, n, 8 do outer() end
  end

  local safe_step = coro.safewrap(function(yield)
    while true do yield(1) end
  end)
  function jobs.safewrap_and_yield(n)
    for _ = 1, n, 2 do safe_step() end
  end

  local catcher = coro.create(function()
    while true do coro.ptransfer(nil) end
  end)
  coro.transfer(catcher)
  function jobs.ptransfers(n)
    for _ = 1, n, 2 do coro.ptransfer(catcher) end
  end
)";

class Allocations : public ::testing::TestWithParam<const char*> {};

INSTANTIATE_TEST_SUITE_P(, Allocations, ::testing::Values("mounted", "unmounted"),
                         [](const auto& info) { return std::string(info.param); });

TEST_P(Allocations, AreNotMadeByAnySwitch) {
  state host;
  host.require_coro(GetParam());
  // Compiling is Lua's own affair, and allocates.
  EXPECT_EQ(host.run("if jit then jit.off() end"), "");
  EXPECT_EQ(host.run(jobs), "");
  // A cycle that ends meanwhile has the next one watched for, which is no part of a switch.
  EXPECT_EQ(host.run("collectgarbage() collectgarbage 'stop'"), "");
  lua_getglobal(host.L, "jobs");
  for (lua_pushnil(host.L); lua_next(host.L, -2) != 0; lua_pop(host.L, 1)) {
    const std::string name = lua_tostring(host.L, -2);
    SCOPED_TRACE(name);
    const auto run = [&host](int n) {
      lua_pushvalue(host.L, -1);
      lua_pushinteger(host.L, n);
      EXPECT_EQ(error_of(host.L, lua_pcall(host.L, 1, 0, 0)), "");
    };
    run(3000);
    const long switches = host.integer("coro.stats().switches");
    const std::size_t calls = host.used.calls(), allocated = allocations();
    run(10000);
    const std::size_t calls_after = host.used.calls(), allocated_after = allocations();
    EXPECT_EQ(calls_after - calls, 0u) << "calls of Lua's allocator";
    EXPECT_EQ(allocated_after - allocated, 0u) << "calls of malloc or operator new";
    EXPECT_GE(host.integer("coro.stats().switches") - switches, 10000);
  }
  lua_pop(host.L, 1);
}

}  // namespace
}  // namespace luacoro::hosts
