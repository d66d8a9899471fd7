// The main() of a bare-metal image: an application's own code is there to be called by others. An archive member by
// itself, which a program with a main() of its own leaves out.
#include "ebb/backend.h"

int main(int argc, char** argv) { return ebb::run_backend(argc, argv); }
