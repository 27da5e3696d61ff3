// A module bound by SWIG, and beside what SWIG makes a function that waits.
%module post

%include <exception.i>
%include <std_string.i>

%exception {
  try {
    $action
  } catch (const std::exception& e) {
    SWIG_exception(SWIG_RuntimeError, e.what());
  }
}

class mailbox {
 public:
  void put(const std::string& letter);
  int size() const;
};

// [beside]
%{
#include "mailbox.hpp"

// take(mailbox) -> letter
static int take(lua_State* L) {
  void* self = nullptr;
  if (!SWIG_IsOK(SWIG_ConvertPtr(L, 1, &self, SWIGTYPE_p_mailbox, 0)))
    throw luacoro::error("mailbox expected");
  return luacoro::push(L, static_cast<mailbox*>(self)->take(L));
}

// Not by SWIG, whose wrappers know nothing of coroutines: here errors of both languages are exact.
static const lua_CFunction take_or_raise = luacoro::function<take>;
%}

%native(take) int take_or_raise(lua_State* L);
// [beside]
