#include "switch/context.h"

#if !LUACORO_SWITCH_BOOST

namespace luacoro {

// Called by luacoro_first_frame.
extern "C" [[gnu::visibility("hidden"), gnu::used]] void luacoro_begin_context(context* here,
                                                                               entry_function entry,
                                                                               void* argument) {
  here->tools.arrive();
  entry(argument);
  __builtin_trap();  // an entry function never returns
}

}  // namespace luacoro

#endif
