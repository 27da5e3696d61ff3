// C stacks: how deep, how many, and what happens at their end.
#include <gtest/gtest.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <fstream>
#include <string>

#include "hosts/failing_system.h"
#include "hosts/state.h"

namespace luacoro::hosts {
namespace {

constexpr std::size_t megabyte = std::size_t{1} << 20;

// Lua: call_with_large_frame(f, ...) -> f(...), with as much C stack in use as few libraries need.
int call_with_large_frame(lua_State* L) {
  volatile char frame[40000];
  frame[0] = 1;
  lua_call(L, lua_gettop(L) - 1, 1);
  return 1 + frame[0] - 1;
}

// Lua: run_over_c_stack(). Ends in a fault.
char* first_frame = nullptr;

[[gnu::noinline]] int run_over(int depth) {
  volatile char frame[4096];
  frame[depth % 4096] = 1;
  if (first_frame == nullptr) first_frame = const_cast<char*>(frame);
  return depth < 0 ? 0 : run_over(depth + 1) + frame[0];
}

int run_over_c_stack(lua_State*) { return run_over(0); }

// What stood between the first frame of run_over and the address that could not be used.
constexpr int died_in_guard = 42, died_elsewhere = 43;
std::size_t longest_way = 0;

void judge_fault(int, siginfo_t* fault, void*) {
  const auto way = static_cast<std::size_t>(first_frame - static_cast<char*>(fault->si_addr));
  _exit(way < longest_way ? died_in_guard : died_elsewhere);
}

// Runs over the C stack of a thread, with others below it.
void run_over_one_of_many(guards how) {
  static char signal_stack[65536];
  const stack_t on{signal_stack, 0, sizeof signal_stack};
  sigaltstack(&on, nullptr);
  struct sigaction judge = {};
  judge.sa_sigaction = judge_fault;
  judge.sa_flags = SA_SIGINFO | SA_ONSTACK;
  sigaction(SIGSEGV, &judge, nullptr);

  set_guards(how);
  state host;
  host.set_function("run_over_c_stack", run_over_c_stack);
  host.require_coro();
  longest_way = static_cast<std::size_t>(host.integer("coro.stats().stack_size")) + 65536 + 8192;
  EXPECT_EQ(host.run("first = coro.create(function()\n"
                     "  in_sort(coro.yield)\n"
                     "  run_over_c_stack()\n"
                     "end)\n"
                     "coro.resume(first)\n"
                     "local others = {}\n"
                     "for i = 1, 20 do\n"
                     "  others[i] = coro.create(function() in_sort(coro.yield) end)\n"
                     "  coro.resume(others[i])\n"
                     "end"),
            "");
  EXPECT_EQ(system_has_failed(), how == guards::by_mprotect);
  if (!::testing::Test::HasFailure()) {
    EXPECT_EQ(host.run("while true do coro.resume(first) end"), "");
  }
}

TEST(CStackDeathTest, EndsTheProcessInItsGuardWhenForeignCodeRunsOverIt) {
  EXPECT_EXIT(run_over_one_of_many(guards::as_the_system_can),
              ::testing::ExitedWithCode(died_in_guard), "");
}

TEST(CStackDeathTest, HasItsGuardAlsoWhereTheSystemProtectsPagesInstead) {
  EXPECT_EXIT(run_over_one_of_many(guards::by_mprotect), ::testing::ExitedWithCode(died_in_guard),
              "");
}

TEST(CStack, HoldsCLibrariesAsDeepAsTheHostsOwn) {
  state host;
  host.set_function("call_with_large_frame", call_with_large_frame);
  host.require_coro();
  EXPECT_EQ(host.run("local function nest(depth)\n"
                     "  if depth == 180 then return 'bottom' end\n"
                     "  return (call_with_large_frame(nest, depth + 1))\n"
                     "end\n"
                     "assert(nest(0) == 'bottom') -- on the host's\n"
                     "assert(coro.wrap(nest)(0) == 'bottom')"),
            "");
}

// Lua: note_memory(). How much there was at the most.
std::size_t most_resident = 0;

int note_memory(lua_State*) {
  most_resident = std::max(most_resident, resident_bytes());
  return 0;
}

TEST(CStacks, OfRunawayRecursionTakeLessThanAHundredMegabytes) {
  state host;
  host.set_function("note_memory", note_memory);
  host.require_coro();
  const std::size_t before = resident_bytes();
  most_resident = 0;
  EXPECT_EQ(host.run("local depth = 0\n"
                     "local function f()\n"
                     "  depth = depth + 1\n"
                     "  note_memory()\n"
                     "  return (('x'):gsub('x', coro.wrap(f)))\n"
                     "end\n"
                     "local ok, err = pcall(f)\n"
                     "assert(not ok and err:find 'C stack overflow' and depth > 200)"),
            "");
  EXPECT_LT(most_resident - before, 100 * megabyte);
}

TEST(CStacks, WithoutAGuardAreNotUsedAndNotKept) {
  state host;
  host.require_coro();
  const std::string resume = "coro.resume(coro.create(function() in_sort(coro.yield) end))";
  EXPECT_EQ(host.run("assert(" + resume + ") fixture.collect() coro.configure {}"), "");
  const std::size_t mapped = mapped_bytes();
  set_guards(guards::refused);
  EXPECT_EQ(host.run("for _ = 1, 100 do\n"
                     "  local ok, err = " +
                     resume +
                     "\n"
                     "  assert(not ok and err:find 'the system has no mapping', err)\n"
                     "end"),
            "");
  EXPECT_TRUE(system_has_failed());
  set_guards(guards::as_the_system_can);
  EXPECT_LT(mapped_bytes(), mapped + no_c_stack);
  EXPECT_EQ(host.run("assert(" + resume + ")"), "");
}

constexpr const char* suspend_many_inside_sort = R"(
  threads = {}
  function suspend_many(n)
    for i = 1, n do
      local thread = coro.create(function() in_sort(coro.yield) end)
      local ok, err = coro.resume(thread)
      if not ok then return i - 1, err end
      threads[i] = thread
    end
    return n
  end
)";

// Suspends that many threads inside C frames, and drops them.
void suspend_and_drop(state& host, int n) {
  EXPECT_EQ(host.run("assert(suspend_many(" + std::to_string(n) + ") == " + std::to_string(n) +
                     ")\n"
                     "assert(coro.stats().pinned == " +
                     std::to_string(n) + ")"),
            "");
  EXPECT_EQ(host.run("threads = {} fixture.collect()\n"
                     "local stats = coro.stats()\n"
                     "assert(stats.stacks_in_use == 0 and stats.threads == 0)\n"
                     "coro.configure {} -- gives back those that are idle"),
            "");
}

class ManyCStacks : public ::testing::TestWithParam<guards> {
 protected:
  ManyCStacks() { set_guards(GetParam()); }
  ~ManyCStacks() override { set_guards(guards::as_the_system_can); }
};

INSTANTIATE_TEST_SUITE_P(, ManyCStacks,
                         ::testing::Values(guards::as_the_system_can, guards::by_mprotect),
                         [](const auto& info) {
                           return std::string(info.param == guards::by_mprotect ? "protected"
                                                                                : "guarded");
                         });

// What this process has in memory that is neither a file's nor the heap's, of which the allocator
// keeps pages.
std::size_t resident_beside_heap() {
  std::ifstream smaps("/proc/self/smaps");
  std::size_t kilobytes = 0;
  bool counts = false;
  for (std::string line; std::getline(smaps, line);) {
    const bool is_mapping = line.find('-') < line.find(':');
    if (is_mapping)
      counts = line.find('/') == std::string::npos && line.find('[') == std::string::npos;
    if (counts && line.rfind("Rss:", 0) == 0) kilobytes += std::stoul(line.substr(4));
  }
  return kilobytes * 1024;
}

TEST_P(ManyCStacks, AreAllGivenBack) {
  if (GetParam() == guards::by_mprotect && !is_thorough()) GTEST_SKIP() << "takes its time";
  state host;
  host.require_coro();
  EXPECT_EQ(host.run(suspend_many_inside_sort), "");
  suspend_and_drop(host, 100);
  const std::size_t mapped = mapped_bytes(), count = mappings();
  const std::size_t resident = resident_beside_heap();
  suspend_and_drop(host, 20000);
  EXPECT_EQ(system_has_failed(), GetParam() == guards::by_mprotect);
  EXPECT_LT(mapped_bytes(), mapped + 100 * megabyte);
  EXPECT_LT(mappings(), count + 10);
  EXPECT_LT(resident_beside_heap(), resident + 4 * megabyte);
}

// Lua: use_c_stack(f, ...) -> f(...), with half a megabyte of C stack touched.
int use_c_stack(lua_State* L) {
  volatile char frame[megabyte / 2];
  for (std::size_t i = 0; i < sizeof frame; i += 4096) frame[i] = 1;
  lua_call(L, lua_gettop(L) - 1, 1);
  return 1 + frame[0] - 1;
}

// Has many idle C stacks.
class IdleCStacks : public ::testing::Test {
 protected:
  IdleCStacks() {
    host_.set_function("use_c_stack", use_c_stack);
    host_.require_coro();
    EXPECT_EQ(host_.run("coro.configure { warm_stacks = 100 }\n"
                        "function suspend_all(use)\n"
                        "  local steps = {}\n"
                        "  for i = 1, 100 do\n"
                        "    steps[i] = coro.wrap(function() use(coro.yield) end)\n"
                        "    steps[i]()\n"
                        "  end\n"
                        "  return steps\n"
                        "end\n"
                        "function end_all(steps) for _, step in ipairs(steps) do step() end end\n"
                        "end_all(suspend_all(in_sort))\n"
                        "fixture.collect()"),
              "");
    before_ = resident_beside_heap();
    idle_ = host_.integer("coro.stats().stacks_idle");
    EXPECT_GE(idle_, long{idle_stacks});
  }

  // All of them are still there, and little of each is.
  void expect_small() {
    EXPECT_EQ(host_.run("collectgarbage() collectgarbage()"), "");
    EXPECT_LT(resident_beside_heap(), before_ + idle_stacks * std::size_t{32 + 8} * 1024);
    EXPECT_EQ(host_.integer("coro.stats().stacks_idle"), idle_);
  }

  static constexpr int idle_stacks = 100;
  state host_;
  std::size_t before_;
  long idle_;
};

TEST_F(IdleCStacks, GiveBackWhatWasUsedDeeply) {
  for (int i = 0; i < 2; ++i) {
    EXPECT_EQ(host_.run("steps = suspend_all(use_c_stack)"), "");
    EXPECT_GT(resident_beside_heap(), before_ + idle_stacks * megabyte / 3);
    EXPECT_EQ(host_.run("end_all(steps)"), "");
    expect_small();
  }
}

TEST_F(IdleCStacks, GiveBackWhatWasUsedDeeplyByThreadsThatWereNeverSuspended) {
  EXPECT_EQ(host_.run("local function nest(depth)\n"
                      "  if depth == 0 then return end\n"
                      "  coro.wrap(function() use_c_stack(nest, depth - 1) end)()\n"
                      "end\n"
                      "nest(30)"),
            "");
  EXPECT_GT(resident_beside_heap(), before_ + 30 * megabyte / 3);
  expect_small();
}

TEST_F(IdleCStacks, OfThreadsThatWereCollectedGiveBackWhatWasUsedDeeply) {
  EXPECT_EQ(host_.run("steps = suspend_all(use_c_stack)\n"
                      "steps = nil\n"
                      "fixture.collect()"),
            "");
  expect_small();
}

TEST(TooManyCStacks, AreAnErrorThatTellsTheLimitAndTheRestGoesOn) {
  if (!is_thorough()) GTEST_SKIP() << "takes half a gigabyte of memory";
  set_guards(guards::by_mprotect);
  {
    state host;
    host.require_coro();
    EXPECT_EQ(host.run(suspend_many_inside_sort), "");
    EXPECT_EQ(host.run("made, err = suspend_many(60000)\n"
                       "assert(made > 20000 and made < 60000)\n"
                       "assert(err:find 'the system has no mapping for another C stack')\n"
                       "assert(err:find 'vm.max_map_count')"),
              "");
    EXPECT_EQ(host.run("for i = 1, made, 2 do assert(coro.resume(threads[i])) end\n"
                       "threads = {} fixture.collect()\n"
                       "assert(coro.stats().stacks_in_use == 0)\n"
                       "assert(suspend_many(1000) == 1000)"),
              "");
  }
  set_guards(guards::as_the_system_can);
}

}  // namespace
}  // namespace luacoro::hosts
