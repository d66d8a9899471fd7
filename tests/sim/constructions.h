// How often the instance of an object with a home is made: once in each epoch of its home.
#pragma once

#include "ebb/object/home.h"

namespace ebb::sim {

/// An instance was made here, now, for the home that this node knows. Complains if it is the second one of that epoch.
void note_construction(ObjectId id);
/// The next instance may be of the same epoch: the object was dropped, or its id is another's.
void forget_constructions(ObjectId id);

/// A home that notes whenever its instance is made.
template <class Home>
struct noted : Home {
  template <class T>
  static T* on_miss(ObjectId id, void* root) {
    T* made = Home::template on_miss<T>(id, root);
    note_construction(id);
    return made;
  }
};

}  // namespace ebb::sim
