// <luacoro/luacoro.hpp> in a host: errors in both directions, threads, waiters.
#include <gtest/gtest.h>
#include <pthread.h>

#include <luacoro/luacoro.hpp>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include "hosts/guarded.h"
#include "hosts/state.h"

namespace luacoro::hosts {
namespace {

// Waits that are open, for Lua: complete(n, ...), fail(n, err).
std::vector<completer> open_waits;

// Lua: wait() -> what it is completed with
int wait(lua_State* L) {
  guarded here;
  const std::string kept(100, 'x');
  waiter mine(L);
  open_waits.push_back(mine.get_completer());
  const int n = mine.suspend();
  if (kept != std::string(100, 'x')) throw std::logic_error("another frame");
  return n;
}

// Lua: complete(number) -> whether somebody waited
int complete(lua_State* L) {
  guarded here;
  const auto number = get<std::size_t>(L, 1);
  return push(L, open_waits.at(number).complete_in(L, 42, "text", 1.5, true, nullptr));
}

// Lua: fail(number, error)
int fail(lua_State* L) {
  guarded here;
  lua_settop(L, 2);
  return push(L, open_waits.at(get<std::size_t>(L, 1)).fail_in(L, error(L)));
}

// Lua: call(f, ...) -> f(...)
int call_it(lua_State* L) {
  guarded here;
  return call(L, lua_gettop(L) - 1);
}

int throw_runtime_error(lua_State*) {
  guarded here;
  throw std::runtime_error("from C++");
}

int throw_with_zero(lua_State*) { throw error(std::string("one\0two", 7)); }

class Embedding : public ::testing::TestWithParam<const char*> {
 protected:
  Embedding() {
    host_.require_coro(GetParam());
    host_.set_function("wait", function<wait>);
    host_.set_function("complete", function<complete>);
    host_.set_function("fail", function<fail>);
    host_.set_function("call", function<call_it>);
    host_.set_function("throw_runtime_error", function<throw_runtime_error>);
    EXPECT_EQ(host_.run(R"(
      function start(f)
        local thread = coro.create(function() coro.transfer(nil, "ended", f()) end)
        return thread, coro.transfer(thread)
      end
    )"),
              "");
  }
  void TearDown() override {
    open_waits.clear();
    EXPECT_EQ(guarded::alive, 0) << "destructors that did not run";
  }
  void run(const std::string& chunk) { EXPECT_EQ(host_.run(chunk), ""); }

  state host_;
};

INSTANTIATE_TEST_SUITE_P(, Embedding, ::testing::Values("mounted", "unmounted"),
                         [](const auto& info) { return std::string(info.param); });

TEST_P(Embedding, WaitsInTheMiddleOfACppFunction) {
  run(R"(
    local got
    start(function() got = { wait() } end)
    expect("nil", got)
    expect("true", complete(0))
    expect("42 text 1.5 true nil", got[1], got[2], got[3], got[4], got[5])
  )");
}

TEST_P(Embedding, FailsWithTheVeryErrorOfLua) {
  run(R"(
    local err, ok, got = {}
    start(function() ok, got = pcall(wait) end)
    expect("true", fail(0, err))
    expect("false true", ok, got == err)
  )");
}

TEST_P(Embedding, RunsDestructorsOfWhatIsThrownInto) {
  run(R"(
    local thread = start(function() return pcall(call, wait) end)
    local err = {}
    local _, ok, got = coro.throw(thread, err)
    expect("false true", ok, got == err)
    expect("false", complete(0))
  )");
}

TEST_P(Embedding, RunsDestructorsOfWhatIsClosed) {
  run(R"(
    local thread = start(function() pcall(call, wait) return "not reached" end)
    expect("true", coro.close(thread))
    expect("dead", coro.status(thread))
    expect("false", complete(0))
  )");
}

TEST_P(Embedding, RaisesWhenSomebodyElseContinuesWhoWaits) {
  run(R"(
    local thread = start(function() return pcall(wait) end)
    expect("ended false coroutine was continued by another one while it waited",
      coro.transfer(thread))
  )");
}

TEST_P(Embedding, TurnsExceptionsIntoErrorsWithThePositionOfTheCaller) {
  run(R"(
    local ok, err = pcall(function() throw_runtime_error() end)
    expect("false chunk:2: from C++", ok, err)
  )");
}

TEST_P(Embedding, PassesErrorsThroughCppUntouched) {
  run(R"(
    local err = {}
    local ok, got = pcall(call, error, err)
    expect("false true", ok, got == err)
    ok, got = pcall(call, call, call, error, "text", 0)
    expect("false text", ok, got)
  )");
}

TEST_P(Embedding, TellsWhenAWaiterIsCompletedTwice) {
  run(R"(
    start(function() wait() end)
    complete(0)
    local ok, err = pcall(complete, 0)
    expect("false the wait was completed already", ok, err)
  )");
}

TEST_P(Embedding, RefusesToWaitInMain) {
  run(R"(
    local ok, err = pcall(wait)
    expect("false attempt to wait outside a coroutine that coro runs", ok, err)
  )");
}

TEST_P(Embedding, CompletesFromTheHost) {
  run("start(function() got = wait() end)");
  EXPECT_TRUE(open_waits.at(0).complete("by the host"));
  EXPECT_EQ(lua_gettop(host_.L), 0);
  run("expect('by the host', got)");
  run("start(function() got = select(2, pcall(wait)) end)");
  EXPECT_TRUE(open_waits.at(1).fail("for a reason"));
  run("expect('for a reason', got)");
}

TEST_P(Embedding, GetsTheErrorsOfCoroutinesThatNobodyResumed) {
  run("coro.transfer(coro.create(function() wait() error('after it', 0) end))");
  try {
    open_waits.at(0).complete();
    FAIL() << "no error";
  } catch (const error& e) {
    EXPECT_STREQ(e.what(), "after it");
  }
  EXPECT_EQ(lua_gettop(host_.L), 0);
}

TEST_P(Embedding, RefusesCompletionOnAnotherOsThread) {
  run("start(function() got = wait() end)");
  std::string text;
  std::thread([&text] {
    try {
      open_waits.at(0).complete();
    } catch (const error& e) {
      text = e.what();
    }
  }).join();
  EXPECT_EQ(text, "the wait belongs to another OS thread");
  // The C functions tell it, too.
  luacoro_waiter of_c{};
  const luacoro_abi& coro = functions(host_.L);
  EXPECT_EQ(coro.complete(&coro, host_.L, &of_c, 0), LUACORO_WRONG_THREAD);
  EXPECT_TRUE(open_waits.at(0).complete("here"));
  run("expect('here', got)");
}

TEST_P(Embedding, TellsASuspendedThreadFromTheCurrentOne) {
  run("start(function() wait() end)\n"
      "sleeper = start(function() coro.transfer(nil) end)");
  lua_getglobal(host_.L, "sleeper");
  EXPECT_THROW(open_waits.at(0).complete_in(get<lua_State*>(host_.L, -1)), error);
  lua_pop(host_.L, 1);
  EXPECT_TRUE(open_waits.at(0).complete());
}

TEST_P(Embedding, KeepsAThreadAliveThatNothingElseReaches) {
  run("start(function() got = wait() end) fixture.collect()");
  EXPECT_TRUE(open_waits.at(0).complete("alive"));
  run("expect('alive', got)");
}

// Without a destructor in it, since none runs.
int wait_for_ever(lua_State* L) {
  static completer* done = nullptr;
  if (done != nullptr) {
    delete std::exchange(done, nullptr);
    return 0;
  }
  // Kept, so that nothing counts as leaked.
  static auto& all = *new std::vector<waiter*>;
  waiter* mine = all.emplace_back(new waiter(L));
  done = new completer(mine->get_completer());
  return mine->suspend();
}

TEST_P(Embedding, LeavesAThreadToTheCollectorThatNobodyCanComplete) {
  host_.set_function("wait_for_ever", function<wait_for_ever>);
  run(R"(
    fixture.collect()
    local before = coro.stats().mounted
    start(wait_for_ever)
    fixture.collect()
    expect(tostring(before + 1), coro.stats().mounted)
    wait_for_ever()
    fixture.collect()
    expect(tostring(before), coro.stats().mounted)
  )");
}

// Lua: complete_early() -> what it is completed with, without having waited
int complete_early(lua_State* L) {
  waiter mine(L);
  mine.get_completer().complete_in(L, "early");
  return mine.suspend();
}

int wait_for_nobody(lua_State* L) {
  waiter mine(L);
  (void)mine.get_completer();
  return mine.suspend();
}

TEST_P(Embedding, DoesNotWaitForWhatIsCompletedAlready) {
  host_.set_function("complete_early", function<complete_early>);
  run("expect('ended early', select(2, start(complete_early)))");
}

// The same by a callback that does not know who runs it.
int complete_at_once(lua_State* L) {
  waiter mine(L);
  mine.get_completer().complete("at once");
  return mine.suspend();
}

TEST_P(Embedding, DoesNotWaitForACallbackThatIsCalledAtOnce) {
  host_.set_function("complete_at_once", function<complete_at_once>);
  run(R"(
    expect("ended at once", select(2, start(complete_at_once)))
    expect("true at once", coro.resume(coro.create(complete_at_once)))
    expect("at once", coro.wrap(function() return coro.wrap(complete_at_once)() end)())
  )");
}

TEST_P(Embedding, RefusesCompletionOnAThreadThatWaits) {
  run(R"(
    start(function() wait() end)
    sleeper = start(function() coro.transfer(nil) end)
    resumer = coro.create(function() coro.resume(coro.create(function() coro.transfer(nil) end)) end)
    coro.transfer(resumer)
    expect("normal", coro.status(resumer))
  )");
  const luacoro_abi& coro = functions(host_.L);
  luacoro_waiter of_c{};
  of_c.os_thread = static_cast<std::uintptr_t>(pthread_self());
  for (const char* name : {"sleeper", "resumer"}) {
    lua_getglobal(host_.L, name);
    lua_State* L = get<lua_State*>(host_.L, -1);
    lua_pop(host_.L, 1);
    EXPECT_EQ(coro.waits(&coro, L), 1) << name;
    EXPECT_THROW(open_waits.at(0).complete_in(L), error) << name;
    lua_pushnil(L);
    EXPECT_EQ(coro.complete(&coro, L, &of_c, 1), LUACORO_NOT_CURRENT) << name;
    lua_pop(L, 1);
  }
  EXPECT_EQ(coro.waits(&coro, host_.L), 0);
  EXPECT_TRUE(open_waits.at(0).complete());
}

TEST_P(Embedding, KeepsAThreadWhoseCompleterGoesOnAnotherOsThread) {
  run("thread = setmetatable({ (start(function() wait() end)) }, { __mode = 'v' })");
  std::thread([] { open_waits.clear(); }).join();
  run("fixture.collect() expect('suspended', coro.status(thread[1])) coro.close(thread[1])");
}

TEST_P(Embedding, DoesNotWaitForNobody) {
  host_.set_function("wait_for_nobody", function<wait_for_nobody>);
  run("expect('false nobody can complete this wait',\n"
      "  select(3, start(function() return pcall(wait_for_nobody) end)))");
}

TEST_P(Embedding, HasThreads) {
  lua_State* L = host_.L;
  run("function step(...) return coro.yield(...) end");
  lua_getglobal(L, "step");
  thread t = thread::create(L);
  EXPECT_EQ(lua_gettop(L), 0);
  run("fixture.collect()");
  EXPECT_EQ(t.status(L), LUACORO_SUSPENDED);
  EXPECT_EQ(resume(L, t.get_state(), push(L, 1, "two")), 2);
  EXPECT_EQ(get<int>(L, -2), 1);
  EXPECT_EQ(get<std::string>(L, -1), "two");
  lua_settop(L, 0);
  EXPECT_EQ(resume(L, t.get_state(), push(L, "last")), 1);
  EXPECT_EQ(t.status(L), LUACORO_DEAD);
  EXPECT_THROW(resume(L, t.get_state()), error);
  EXPECT_EQ(lua_gettop(L), 1);
  thread moved = std::move(t);
  EXPECT_FALSE(t);
  moved.push(L);
  EXPECT_EQ(get<lua_State*>(L, -1), moved.get_state());
  lua_settop(L, 0);
}

TEST_P(Embedding, TransfersAndThrows) {
  lua_State* L = host_.L;
  run("thread = coro.create(function(...)\n"
      "  local ok, err = pcall(coro.transfer, nil, ...)\n"
      "  coro.transfer(nil, ok, err)\n"
      "end)");
  lua_getglobal(L, "thread");
  const thread t = thread::at(L, 1);
  lua_settop(L, 0);
  EXPECT_EQ(transfer(L, t.get_state(), push(L, 7)), 1);
  EXPECT_EQ(get<long>(L, 1), 7);
  lua_settop(L, 0);
  push(L, "thrown");
  EXPECT_EQ(throw_error(L, t.get_state()), 2);
  EXPECT_FALSE(get<bool>(L, 1));
  EXPECT_EQ(get<std::string_view>(L, 2), "thrown");
  lua_settop(L, 0);
  t.close(L);
  EXPECT_EQ(t.status(L), LUACORO_DEAD);
}

TEST_P(Embedding, ChecksWhatItGets) {
  lua_State* L = host_.L;
  push(L, 300, 1.5, "text", -1);
  EXPECT_EQ(get<int>(L, 1), 300);
  EXPECT_DOUBLE_EQ(get<double>(L, 2), 1.5);
  EXPECT_THROW(get<signed char>(L, 1), error);
  EXPECT_THROW(get<int>(L, 2), error);
  EXPECT_THROW(get<int>(L, 3), error);
  EXPECT_THROW(get<unsigned>(L, 4), error);
  EXPECT_THROW(get<std::string>(L, 1), error);
  EXPECT_THROW(get<lua_State*>(L, 1), error);
  lua_settop(L, 0);
  const lua_Number beyond_signed = 9223372036854775808.0;  // 2^63
  push(L, beyond_signed, -beyond_signed, 2 * beyond_signed, beyond_signed - 1024, 0.0 / 0.0);
  EXPECT_THROW(get<std::int64_t>(L, 1), error);
  EXPECT_THROW(get<std::uint64_t>(L, 3), error);
  EXPECT_THROW(get<int>(L, 5), error);
  EXPECT_EQ(get<std::int64_t>(L, 2), std::numeric_limits<std::int64_t>::min());
  EXPECT_EQ(get<std::int64_t>(L, 4), 9223372036854774784);
  lua_settop(L, 0);
  push(L, std::numeric_limits<std::uint64_t>::max(), std::uint64_t{1} << 62, -1);
  EXPECT_EQ(get<double>(L, 1), 2 * beyond_signed);
  EXPECT_EQ(get<std::uint64_t>(L, 2), std::uint64_t{1} << 62);
  EXPECT_EQ(get<int>(L, 3), -1);
  lua_settop(L, 0);
}

TEST_P(Embedding, HasEmptyThreads) {
  lua_State* L = host_.L;
  const thread none;
  EXPECT_EQ(none.status(L), LUACORO_DEAD);
  none.close(L);
  none.push(L);
  EXPECT_TRUE(lua_isnil(L, -1));
  lua_settop(L, 0);
  const luacoro_abi& coro = functions(L);
  EXPECT_EQ(coro.status(&coro, L, nullptr), LUACORO_RUNNING);
}

TEST(EmbeddingWithoutCoro, SaysWhatIsMissing) {
  state host;
  EXPECT_EQ(host.run("package.cpath = ''"), "");
  try {
    open(host.L);
    FAIL() << "no error";
  } catch (const error& e) {
    EXPECT_NE(std::string(e.what()).find("module 'coro' not found"), std::string::npos) << e.what();
  }
  EXPECT_EQ(lua_gettop(host.L), 0);
}

TEST(EmbeddingWithoutCoro, TurnsExceptionsIntoErrors) {
  state host;
  host.set_function("throw_runtime_error", function<throw_runtime_error>);
  host.set_function("throw_with_zero", function<throw_with_zero>);
  EXPECT_EQ(host.run(R"(
    local ok, err = pcall(function() throw_runtime_error() end)
    assert(err == "chunk:2: from C++", err)
    ok, err = pcall(function() throw_with_zero() end)
    assert(err == "chunk:4: one\0two", err)
  )"),
            "");
}

TEST(EmbeddingWithoutCoro, OpensIt) {
  state host;
  EXPECT_EQ(open(host.L).main, host.L);
  EXPECT_EQ(host.run("assert(package.loaded.coro)"), "");
}

}  // namespace
}  // namespace luacoro::hosts
