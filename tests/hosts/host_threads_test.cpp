// Hosts and C libraries that make threads themselves, run them by lua_resume and suspend them by
// lua_yield, as schedulers of I/O do: they work as they did, and what runs in their threads may use
// all of coro.
#include <gtest/gtest.h>

#include <string>

#include "hosts/state.h"

namespace luacoro::hosts {
namespace {

// Lua: new_thread(f) -> thread
int new_thread(lua_State* L) {
  lua_State* T = lua_newthread(L);
  lua_pushvalue(L, 1);
  lua_xmove(L, T, 1);
  return 1;
}

// Lua: run(thread, ...) -> "yielded" or "ended" or "failed", ...
int run(lua_State* L) {
  lua_State* T = lua_tothread(L, 1);
  int n = lua_gettop(L) - 1;
  lua_xmove(L, T, n);
  const int status = lua::run(T, n);
  lua_pushstring(L, status == LUA_OK ? "ended" : status == LUA_YIELD ? "yielded" : "failed");
  if (status != LUA_OK && status != LUA_YIELD) n = 1;
  lua_xmove(T, L, n);
  return n + 1;
}

// Lua: poll(...) -> what the thread is continued with
int poll(lua_State* L) { return lua_yield(L, lua_gettop(L)); }

LUACORO_CONTINUATION(after_poll) {
  (void)LUACORO_CONTINUED_FOR;
  lua_pushstring(L, "continued");
  return lua_gettop(L);
}

// Lua: poll_and_go_on(...) -> what the thread is continued with, "continued"
int poll_and_go_on(lua_State* L) {
  int nobody = 0;
  return lua::yield_frame(L, after_poll, nobody);
}

// Lua: call_in_main(f): as a library does that keeps the main thread for its callbacks
int call_in_main(lua_State* L) {
  lua_State* main = lua::main_thread(L);
  lua_settop(L, 1);
  lua_xmove(L, main, 1);
  if (lua_pcall(main, 0, 0, 0) == LUA_OK) return 0;
  lua_xmove(main, L, 1);
  return lua_error(L);
}

constexpr const char* threads_of_c = R"(
  coro.install()
  fixture.collect()
  before = coro.stats()

  -- A scheduler: runs the functions as threads of the host's, in turns, until the last has ended.
  -- Returns how often they have polled.
  function run_tasks(...)
    local tasks, polls = {}, 0
    for i, f in ipairs { ... } do tasks[i] = new_thread(f) end
    while #tasks > 0 do
      for i = #tasks, 1, -1 do
        local how, err = run(tasks[i])
        if how == "failed" then error(err, 0) end
        if how == "ended" then table.remove(tasks, i) else polls = polls + 1 end
      end
    end
    return polls
  end
)";

class HostThreads : public ::testing::TestWithParam<const char*> {
 protected:
  HostThreads() {
    host_.set_function("new_thread", new_thread);
    host_.set_function("call_in_main", call_in_main);
    host_.set_function("run", run);
    host_.set_function("poll", poll);
    host_.set_function("poll_and_go_on", poll_and_go_on);
    host_.require_coro(GetParam());
    EXPECT_EQ(host_.run(threads_of_c), "");
  }

  void TearDown() override {
    EXPECT_EQ(host_.run(R"(
      fixture.collect()
      local now = coro.stats()
      for _, name in ipairs { "threads", "mounted", "pinned", "stacks_in_use" } do
        if now[name] ~= before[name] then error(("%d %s left"):format(now[name], name)) end
      end
    )"),
              "");
  }

  state host_;
};

INSTANTIATE_TEST_SUITE_P(, HostThreads, ::testing::Values("mounted", "unmounted"),
                         [](const auto& info) { return std::string(info.param); });

TEST_P(HostThreads, MayUseEveryFunctionOfCoro) {
  EXPECT_EQ(host_.run("run_tasks(assert(loadfile('" CORO_HOSTS "/whole_api.lua')))"), "");
}

TEST_P(HostThreads, TakeTurnsWhileEachUsesEveryFunctionOfCoro) {
  EXPECT_EQ(host_.run("pause = poll\n"
                      "local program = assert(loadfile('" CORO_HOSTS "/whole_api.lua'))\n"
                      "expect('30', run_tasks(program, program, program))"),
            "");
}

TEST_P(HostThreads, AreMainWhileTheyRunOnTheHostsStack) {
  EXPECT_EQ(host_.run(R"(
    local task = new_thread(function()
      local inner = coro.create(function(...)
        expect("1 2", ...)
        expect("3", coro.transfer(nil, "a", "b"))
        error("for main", 0)
      end)
      expect("a b", coro.transfer(inner, 1, 2))
      expect("false for main", pcall(coro.transfer, inner, 3))
      return "end"
    end)
    expect("ended end", run(task))
  )"),
            "");
}

TEST_P(HostThreads, CallMainBackWhichIsNotYieldedToBelow) {
  EXPECT_EQ(host_.run(R"(
    local inner, caller
    inner = coro.create(function()
      coro.transfer(caller)
      local ok, err = pcall(coro.yield, "to who waits below")
      expect("false attempt to yield from a coroutine that was not resumed", ok, err)
      coro.transfer(nil, "inner")
    end)
    caller = coro.create(function()
      call_in_main(function()
        expect("nil", coro.current())
        expect("inner", coro.transfer(inner))
      end)
      coro.transfer(nil, "called back")
    end)
    expect("true called back", coro.resume(inner))
    -- What it resumed goes on to be its own as soon as main waits there again.
    local step = coro.wrap(function()
      coro.transfer(caller)
      coro.yield("yielded")
    end)
    caller = coro.create(function()
      call_in_main(function() coro.transfer(coro.create(function() coro.transfer(nil) end)) end)
      coro.transfer(coro.main)
    end)
    step()
    inner, caller, step = nil, nil, nil
  )"),
            "");
}

TEST_P(HostThreads, CallMainBackWhoseStandardCoroutinesCannotBeLeft) {
  EXPECT_EQ(host_.run(R"(
    local other = coro.create(function() coro.transfer(nil, "other") end)
    local results
    coro.transfer(coro.create(function()
      call_in_main(function()
        results = { pcall(fixture.standard.wrap(function() return coro.transfer(other) end)) }
        results[3] = coro.resume(coro.create(function() coro.yield() end))
      end)
      coro.transfer(nil)
    end))
    expect("false", results[1])
    assert(results[2]:find("attempt to leave a standard coroutine that main runs", 1, true))
    expect("true", results[3])
    expect("other", coro.transfer(other))
  )"),
            "");
}

TEST_P(HostThreads, CallMainBackAboveOneOfItsStandardCoroutines) {
  EXPECT_EQ(host_.run(R"(
    local wrap = fixture.standard.wrap
    local refused
    local outer = wrap(function()
      local below = coro.current()
      expect("true end", coro.resume(coro.create(function()
        call_in_main(function()
          wrap(function()
            refused = { pcall(coro.transfer, below), pcall(coro.transfer, nil),
              pcall(coro.wrap(function() end)), pcall(coro.transfer, coro.create(function() end)) }
          end)()
        end)
        return "end"
      end)))
    end)
    outer()
    expect("false false false false", refused[1], refused[2], refused[3], refused[4])
    assert(refused[5]:find("attempt to leave a standard coroutine that main runs", 1, true))
  )"),
            "");
}

TEST_P(HostThreads, CallMainBackAndKeepTheirResumers) {
  EXPECT_EQ(host_.run(R"(
    local callbacks = {
      function() coro.ptransfer(coro.create(function() end)) end,
      function() coro.ptransfer(coro.create(function() error("expected") end)) end,
      function() coro.transfer(coro.create(function() coro.transfer(nil) end)) end,
      function() coro.resume(coro.create(function() end)) end,
    }
    local function check()
      for _, callback in ipairs(callbacks) do
        local thread = coro.create(function()
          call_in_main(callback)
          coro.yield("yielded")
          return "ended"
        end)
        expect("true yielded", coro.resume(thread))
        expect("true ended", coro.resume(thread))
      end
    end
    check()
    fixture.standard.wrap(check)()
    expect("ended", run(new_thread(check)))
  )"),
            "");
}

TEST_P(HostThreads, RunFromTheHostWhileMainHasNoCallOfItsOwn) {
  lua_State* T = lua_newthread(host_.L);
  ASSERT_EQ(luaL_loadstring(T,
                            "local inner = coro.create(function(x)\n"
                            "  in_sort(function() x = x + coro.transfer(nil, x) end)\n"
                            "  coro.transfer(nil, 'sorted')\n"
                            "end)\n"
                            "local x = coro.transfer(inner, 1)\n"
                            "poll(x)\n"
                            "while x ~= 'sorted' do x = coro.transfer(inner, 1) end\n"
                            "return x"),
            LUA_OK);
  int n = 0;
  ASSERT_EQ(lua::run(T, n), LUA_YIELD);
  ASSERT_EQ(n, 1);
  EXPECT_EQ(lua_tointeger(T, -1), 1);
  lua_pop(T, 1);
  n = 0;
  ASSERT_EQ(lua::run(T, n), LUA_OK);
  EXPECT_STREQ(lua_tostring(T, -1), "sorted");
  lua_settop(host_.L, 0);
}

TEST_P(HostThreads, YieldToTheHostByEitherYield) {
  EXPECT_EQ(host_.run(R"(
    local task = new_thread(function(...)
      expect("1 nil", ...)
      expect("2", coro.yield("coro", nil))
      expect("3", poll("host"))
      expect("true", coro.isyieldable())
      return "end"
    end)
    expect("yielded coro nil", run(task, 1, nil))
    expect("suspended", coro.status(task))
    expect("yielded host", run(task, 2))
    expect("ended end", run(task, 3))
    expect("dead", coro.status(task))
  )"),
            "");
}

TEST_P(HostThreads, CallGeneratorsThatWaitInTheHost) {
  EXPECT_EQ(host_.run(R"(
    local function task()
      local sum = 0
      for i in coroutine.wrap(function()
        for i = 1, 3 do in_sort(function() coroutine.yield(i) end) end
      end) do
        sum = sum + i
        poll(i)
      end
      assert(sum >= 6)
    end
    assert(run_tasks(task, task) >= 6)
  )"),
            "");
}

TEST_P(HostThreads, RunInsideACoroutineAndAreLeftFromThere) {
  EXPECT_EQ(host_.run(R"(
    local waiting = {}
    local function task(name)
      return function()
        in_sort(function()
          table.insert(waiting, coro.current())
          expect(name, coro.transfer(nil, name))
        end)
        poll()
        expect("generated", coro.wrap(function() coro.yield "generated" end)())
      end
    end
    local scheduler = coro.create(function()
      in_sort(function() run_tasks(task "a", task "b") end)
      coro.transfer(nil, "end")
    end)
    local result = coro.transfer(scheduler)
    while result ~= "end" do result = coro.transfer(table.remove(waiting), result) end
  )"),
            "");
}

TEST_P(HostThreads, AreContinuedByCoroLikeAnyOther) {
  EXPECT_EQ(host_.run(R"(
    local function body(...)
      expect("true 2", true, coro.yield(...))
      expect("3", poll "polled")
      coro.transfer(nil, "transferred")
      error("failed", 0)
    end
    local thread = new_thread(body)
    expect("suspended", coro.status(thread))
    expect("true 1", coro.resume(thread, 1))
    expect("true polled", coro.resume(thread, 2))
    expect("transferred", coro.transfer(thread, 3))
    local ok, err = coro.ptransfer(thread)
    expect("false failed dead", ok, err, coro.status(thread))

    thread = new_thread(body)
    coro.resume(thread, 1)
    expect("true dead", coro.close(thread), coro.status(thread))
    thread = new_thread(body)
    coro.resume(thread, 1)
    expect("false thrown", pcall(coro.throw, thread, "thrown"))
  )"),
            "");
}

TEST_P(HostThreads, HandAYieldOfCsToWhoeverResumedThem) {
  EXPECT_EQ(host_.run(R"(
    local thread = coro.create(function(...)
      expect("2", poll(...))
      coro.transfer(nil, "away")
      expect("3", poll "after a transfer")
      expect("4", coro.wrap(function() return (poll(4)) end)())
      return "end"
    end)
    expect("true 1 nil", coro.resume(thread, 1, nil))
    expect("true away", coro.resume(thread, 2))
    expect("true after a transfer", coro.resume(thread))
    expect("true end", coro.resume(thread, 3))
  )"),
            "");
}

TEST_P(HostThreads, GoOnInAContinuationOfCsWhereTheVersionHasThem) {
  lua_pushboolean(host_.L, lua::has_continuations);
  lua_setglobal(host_.L, "has_continuations");
  EXPECT_EQ(host_.run(R"(
    local thread = coro.create(function() return poll_and_go_on(1) end)
    expect("true 1", coro.resume(thread))
    expect(has_continuations and "true 2 continued" or "true 2", coro.resume(thread, 2))
  )"),
            "");
}

TEST_P(HostThreads, RaiseWhenCYieldsWithNobodyToYieldTo) {
  EXPECT_EQ(host_.run(R"(
    local transferred = coro.create(function() poll() end)
    local ok, err = pcall(coro.transfer, transferred)
    assert(not ok and err:find "attempt to yield from a coroutine that was not resumed", err)
    ok, err = coro.resume(coro.create(function() in_sort(poll) end))
    assert(not ok and err:find "attempt to yield across")
  )"),
            "");
}

TEST_P(HostThreads, ReportAnErrorToTheHost) {
  EXPECT_EQ(host_.run(R"(
    local task = new_thread(function()
      local wrapped = coro.wrap(function() in_sort(function() error("in sort", 0) end) end)
      wrapped()
    end)
    local how, err = run(task)
    assert(how == "failed" and err:find "in sort", err)
    expect("dead", coro.status(task))
  )"),
            "");
}

}  // namespace
}  // namespace luacoro::hosts
