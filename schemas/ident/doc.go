// Package ident checks the identifiers that records carry: pure functions over
// the published algorithms, each with its standard. A value that fails is
// quarantined by the connector; nothing is ever repaired in silence.
//
//	USCC           unified social credit code, GB 32100-2015, with the check
//	               digit of the organisation code in it
//	OrgCode        organisation code, GB 11714-1997
//	ResidentID     resident identity number, GB 11643-1999
//	Region         administrative division, GB/T 2260: structure
//	Regions        the same, versioned: what stands and stood in the two provinces
//	DealCode       unified deal code of public resource trading; its check
//	               character alone gives a [*DealCheckError], which only warns
//	ProjectCode …  the codes of a project, tender project and section, and the
//	               prefix chain between them ([Chained])
//	Industry       GB/T 4754-2017, section and division
//	EAN13          commodity bar code, GB 12904
//
// The errors say which rule failed and never hold the value. A function that
// needs the time takes it.
//
// data/regions.csv is carried into the program; its head says where the facts
// come from and under which licence.
package ident
