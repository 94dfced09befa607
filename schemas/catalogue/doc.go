// Package catalogue holds what can be asked for and by whom: the products
// (政务数据目录 目录条目) and the participants (参与方) of the two provinces, in
// YAML that a catalogue officer edits, loaded and checked as one.
//
//	participants.yaml   kinds of authority, and each participant with its term
//	products.yaml       each product: what it is, who provides it, under which
//	                    share class and legal basis, and how its records lie
//
// A product carries what article 13 of 《政务数据共享条例》 (State Council Order
// 809) asks of a catalogue entry, and article 15 of one that is shared under
// conditions:
//
//	目录名称  nameZH, nameEN         共享属性  shareClass
//	数据项    schema                 共享方式  deliveryMethods
//	提供单位  providers              使用条件  conditions
//	数据格式  formats                分类分级  classification
//	更新频率  updateCycle            共享范围、使用用途  scope, purposes
//
// A product is not a schema: several products may share one, each with a
// provider, a legal basis and a term of its own.
//
// The classes of a product's fields are those of its schema; the catalogue may
// only tighten them, and [Catalogue.Sensitivities] gives the result. A class
// that asks for sealing (personal and worse) can only be given to a field that
// the schema seals, because the records lie in Kafka as the schema says.
//
// Files: catalogue.go (Load and look up), product.go and participant.go (the
// shapes and their checks), yamlfile (strict YAML with the line of each fault).
package catalogue
