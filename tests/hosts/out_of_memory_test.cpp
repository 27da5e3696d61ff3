// Whatever the module needs may be refused: Lua's memory, that of the C++ library, mappings of the
// system. Each is a clean error and leaves nothing behind, and everything else is intact.
#include <gtest/gtest.h>
#include <sys/mman.h>

#include <cstdint>
#include <functional>
#include <string>

#include "hosts/failing_system.h"
#include "hosts/state.h"

namespace luacoro::hosts {
namespace {

// Threads that have nothing to do with the program that fails. They go on after it.
constexpr const char* bystanders = R"(
  local heard = {}
  local pinned = coro.create(function()
    in_sort(function() heard[1] = heard[1] or coro.transfer(nil) end)
  end)
  local plain = coro.create(function() heard[2] = coro.transfer(nil) coro.transfer(nil) end)
  local generator = coro.wrap(function() for i = 1, 3 do coro.yield(i) end end)
  coro.transfer(pinned)
  coro.transfer(plain)
  assert(generator() == 1)
  local function counters()
    fixture.collect()
    local stats = coro.stats() -- where C stacks are short, fewer threads stay mounted
    return ("%d threads, %d pinned, %d stacks besides those of mounted threads"):format(
      stats.threads, stats.pinned, stats.stacks_in_use - stats.mounted)
  end
  local before = counters()
  function check()
    local now = counters()
    if now ~= before then error(now .. "; before: " .. before) end
    assert(generator() == 2 and generator() == 3)
    coro.transfer(plain, "plain")
    assert(not coro.ptransfer(pinned, "pinned")) -- it ends without transferring
    assert(heard[1] == "pinned" and heard[2] == "plain")
  end
)";

// What is refused, and what errors tell of it.
struct shortage {
  std::function<void(state&, int nth)> begin;
  std::function<bool(state&)> end;  // was anything refused?
  std::vector<const char*> texts;
};

shortage of_lua_memory(failing how) {
  return {[how](state& host, int nth) { host.used.fail(how, nth); },
          [](state& host) {
            host.used.work_again();
            return host.used.has_failed();
          },
          // Lua's libraries take a stack that cannot grow for one that must not.
          {"not enough memory", "stack overflow (", "too many results to unpack"}};
}

shortage of_cpp_memory() {
  return {[](state&, int nth) { fail_new(nth); },
          [](state&) {
            const bool failed = system_has_failed();
            fail_new(0);
            return failed;
          },
          {"not enough memory"}};
}

shortage of_mappings() {
  return {[](state&, int nth) { fail_mapping(nth); },
          [](state&) {
            const bool failed = system_has_failed();
            fail_mapping(0);
            return failed;
          },
          {"the system has no mapping for another C stack", "not enough memory"}};
}

// Runs the function on top of the stack under the n-th shortage; false if there was none.
bool suffers(state& host, const shortage& lack, int nth, std::string& error) {
  lack.begin(host, nth);
  const int status = lua_pcall(host.L, 0, 0, 0);
  const bool suffered = lack.end(host);
  error = error_of(host.L, status);
  bool is_told = error.empty();
  for (const char* text : lack.texts)
    is_told = is_told || (suffered && error.find(text) != std::string::npos);
  EXPECT_TRUE(is_told) << error;
  return suffered;
}

// Runs the program that uses everything, with one more thing refused each time; how much there is.
int run_short_of(const shortage& lack, const char* suspension) {
  const int step = is_thorough() ? 1 : 11;
  for (int nth = 1;; nth += step) {
    SCOPED_TRACE("shortage " + std::to_string(nth));
    const std::size_t blocks_before = new_blocks();
    {
      state host;
      host.switch_compiler_off();
      host.require_coro(suspension);
      EXPECT_EQ(host.run(bystanders), "");
      EXPECT_EQ(luaL_loadfile(host.L, CORO_HOSTS "/whole_api.lua"), LUA_OK);
      std::string error;
      if (!suffers(host, lack, nth, error)) return nth;
      EXPECT_EQ(host.run("check()"), "") << "after " << error;
    }
    EXPECT_EQ(new_blocks(), blocks_before);
    if (::testing::Test::HasFailure()) return nth;
  }
}

class Shortage : public ::testing::TestWithParam<const char*> {
 protected:
  void TearDown() override { EXPECT_LT(mapped_bytes(), mapped_before_ + no_c_stack); }

 private:
  std::size_t mapped_before_ = mapped_bytes();
};

INSTANTIATE_TEST_SUITE_P(, Shortage, ::testing::Values("mounted", "unmounted"),
                         [](const auto& info) { return std::string(info.param); });

TEST_P(Shortage, OfOneAllocationIsOvercomeOrAnError) {
  EXPECT_GT(run_short_of(of_lua_memory(failing::once), GetParam()), 500);
}

TEST_P(Shortage, OfMemoryForAMomentIsAnError) {
  EXPECT_GT(run_short_of(of_lua_memory(failing::twice), GetParam()), 500);
}

TEST_P(Shortage, OfMemoryIsAnError) {
  EXPECT_GT(run_short_of(of_lua_memory(failing::from_there_on), GetParam()), 500);
}

TEST_P(Shortage, OfMemoryOfTheCppLibraryIsAnError) {
  EXPECT_GT(run_short_of(of_cpp_memory(), GetParam()), 20);
}

TEST_P(Shortage, OfMappingsIsAnError) { EXPECT_GT(run_short_of(of_mappings(), GetParam()), 20); }

// LuaJIT knows the highest bits of each light userdata from a table, which grows: what points into
// a C stack far away from everything else would need memory where a failure is reported.
TEST(ShortageOfLuaMemory, IsWithstoodByAFailureOnAnyCStack) {
  constexpr std::size_t distance = std::size_t{1} << 39;
  const shortage lack = of_lua_memory(failing::from_there_on);
  for (std::uintptr_t known = 0; known < 4; ++known) {
    bool suffered = true;
    for (int nth = 1; suffered; ++nth) {
      state host;
      host.switch_compiler_off();
      host.require_coro();
      for (std::uintptr_t i = 1; i <= known; ++i)
        lua_pushlightuserdata(host.L, reinterpret_cast<void*>(i * distance));
      EXPECT_EQ(host.run("failing = coro.create(function() error('told', 0) end)"), "");
      EXPECT_EQ(luaL_loadstring(host.L, "local _, e = coro.resume(failing) error(e, 0)"), LUA_OK);
      void* between =
          ::mmap(nullptr, distance, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
      if (between == MAP_FAILED) GTEST_SKIP() << "so large an address space is not to be had";
      lack.begin(host, nth);
      const std::string error = error_of(host.L, lua_pcall(host.L, 0, 0, 0));
      suffered = lack.end(host);
      EXPECT_TRUE(error == "told" || (suffered && error == "not enough memory")) << error;
      EXPECT_EQ(::munmap(between, distance), 0);
    }
  }
}

TEST(ShortageOfCppMemory, HasTheTextOfLuasOwn) {
  state host;
  host.require_coro();
  const auto error_of_first_start = [&host](const std::string& call) {
    EXPECT_EQ(host.run("thread = coro.create(function() in_sort(coro.yield) end)\n"
                       "wrapped = coro.wrap(function() in_sort(coro.yield) end)"),
              "");
    EXPECT_EQ(luaL_loadstring(host.L, call.c_str()), LUA_OK);
    fail_new(1);
    const int status = lua_pcall(host.L, 0, 0, 0);
    EXPECT_TRUE(system_has_failed());
    fail_new(0);
    return error_of(host.L, status);
  };
  for (const char* call : {"coro.transfer(thread)", "coro.resume(thread)", "wrapped()"})
    EXPECT_EQ(error_of_first_start(call), "not enough memory") << call;
}

// Opens the module under the n-th shortage; false if nothing was short.
bool fails_to_open(state& host, const shortage& lack, int nth) {
  std::string error;
  lua_getglobal(host.L, "open");
  return suffers(host, lack, nth, error) && !error.empty();
}

TEST(ShortageWhenRequired, IsAnErrorAndLeavesNothing) {
  const std::pair<const char*, shortage> lacks[] = {
      {"memory for a moment", of_lua_memory(failing::twice)},
      {"memory", of_lua_memory(failing::from_there_on)},
      {"memory of the C++ library", of_cpp_memory()},
      {"mappings", of_mappings()}};
  const std::size_t mapped_before = mapped_bytes();
  for (const auto& [name, lack] : lacks) {
    SCOPED_TRACE(name);
    state host;
    host.switch_compiler_off();
    EXPECT_EQ(host.run("local load = assert(package.loadlib('" CORO_MODULES
                       "/coro.so', 'luaopen_coro'))\n"
                       "function open() coro = load() end"),
              "");
    const auto collected = [&host] {
      EXPECT_EQ(host.run("for _ = 1, 3 do collectgarbage() end"), "");
      return host.used.bytes();
    };
    const std::size_t before = collected(), blocks_before = new_blocks();
    std::size_t left = before;
    int nth = 1;
    for (; fails_to_open(host, lack, nth); ++nth) {
      left = collected();
      EXPECT_EQ(new_blocks(), blocks_before) << "after shortage " << nth;
    }
    // All of them together leave at the most what is Lua's own: room for strings and keys.
    EXPECT_LT(left, before + 8000);
    EXPECT_GT(nth, 1);
    EXPECT_EQ(host.run("coro.wrap(function() coro.yield() end)()"), "");
  }
  EXPECT_LT(mapped_bytes(), mapped_before + no_c_stack);
}

}  // namespace
}  // namespace luacoro::hosts
