// Package quotatest is the suite that every quota.Store passes: the one in
// memory, the one in Redis on a stand-in, and the one in Redis on the real
// server.
//
//	func TestStore(t *testing.T) {
//		quotatest.Run(t, func(t *testing.T) (quota.Store, quotatest.Clock) {
//			clock := quotatest.NewFakeClock()
//			return quota.NewMemory(1000, clock.Now), clock
//		})
//	}
//
// A store whose clock can be set is given a [FakeClock] and held to the
// microsecond. A store on a clock of its own is given [WallClock] and held to
// bounds that no slow machine breaks.
package quotatest
