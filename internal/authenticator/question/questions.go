package question

import "github.com/stile-id/stile/internal/authenticator"

// custom is the key of a question that its owner wrote.
const custom = "custom"

// questions are those of the field, by key (AUTH §5): clients have translations for
// them. The first is matched by clients.
var questions = []authenticator.Choice{
	{Value: "disliked_food", Label: "What is the food you least liked as a child?"},
	{Value: "name_of_first_plush_toy", Label: "What is the name of your first stuffed animal?"},
	{Value: "first_award", Label: "What did you earn your first medal or award for?"},
	{Value: "favorite_toy", Label: "What is the toy/stuffed animal you liked the most as a kid?"},
	{Value: "first_computer_game", Label: "What was the first computer game you played?"},
	{Value: "favorite_movie_quote", Label: "What is your favorite movie quote?"},
	{Value: "first_sports_team_mascot", Label: "What was the mascot of the first sports team you played on?"},
	{Value: "first_music_purchase", Label: "What music album or song did you first purchase?"},
	{Value: "favorite_art_piece", Label: "What is your favorite piece of art?"},
	{Value: "grandmother_favorite_desert", Label: "What was your grandmother's favorite dessert?"},
	{Value: "first_thing_cooked", Label: "What was the first thing you learned to cook?"},
	{Value: "childhood_dream_job", Label: "What was your dream job as a child?"},
	{Value: "place_where_significant_other_was_met", Label: "Where did you meet your spouse/significant other?"},
	{Value: "favorite_vacation_location", Label: "Where did you go for your favorite vacation?"},
	{Value: "new_years_two_thousand", Label: "Where were you on New Year's Eve in the year 2000?"},
	{Value: "favorite_speaker_actor", Label: "Who is your favorite speaker/orator?"},
	{Value: "favorite_book_movie_character", Label: "Who is your favorite book/movie character?"},
	{Value: "favorite_sports_player", Label: "Who is your favorite sports player?"},
}

// textOf is the question of a key.
func textOf(key string) (string, bool) {
	for _, q := range questions {
		if q.Value == key {
			return q.Label, true
		}
	}
	return "", false
}
