// The components of the sidecar. Actors want a state store with transactions, although ours keep no state, and the
// runtime wants a name resolver, although actors are found by placement: the two that need nothing else.

package components

import (
	"github.com/dapr/components-contrib/nameresolution/nameformat"
	inmemory "github.com/dapr/components-contrib/state/in-memory"
	nrLoader "github.com/dapr/dapr/pkg/components/nameresolution"
	stateLoader "github.com/dapr/dapr/pkg/components/state"
)

func init() {
	stateLoader.DefaultRegistry.RegisterComponent(inmemory.NewInMemoryStateStore, "in-memory")
	nrLoader.DefaultRegistry.RegisterComponent(nameformat.NewResolver, "nameformat")
}
