// Package cataloguetest gives tests of the catalogue and of policies the fields
// of the schemas without the codec: what they need is only paths and classes.
package cataloguetest
